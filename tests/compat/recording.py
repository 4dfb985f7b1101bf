"""Recorded answers in `golden/*.txt`, one text block per request: format, writing, reading, comparison."""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.compat.client import Answer
from tests.compat.corpus import Request
from tests.compat.normalise import Normaliser

FOLDER = Path(__file__).parent / "golden"
WIDTH = 118

_LEFT_OUT = {"date", "connection", "x-envoy-upstream-service-time"}
"""Headers that are not recorded."""
_USUAL = {
    "cache-control": "no-store",
    "content-type": "application/json",
    "server": "portico",
    "vary": "Origin",
    "x-content-type-options": "nosniff",
}
"""Headers that are left out of a block at these values; `no NAME` marks a missing one."""
_HEAD = "=== "
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_OBJECT_END = re.compile(r"(?<=[}\]],)(?=[{\[\"])")
_COMMA = re.compile(r"(?<=,)")


def shown(request: Request, answer: Answer, normaliser: Normaliser) -> str:
    """Format one answer: name, request line, status, unusual headers, body lines after `|`, continued after `+`."""
    lines = [f"{_HEAD}{request.name}", f"{request.method} {request.path[:WIDTH]}", str(answer.status)]
    lines += _headers(request, answer, normaliser)
    if body := normaliser.body(_text(answer.body)):
        lines += [folded for line in body.split("\n") for folded in _folded(line)]
    return "\n".join(lines) + "\n"


def _text(body: bytes) -> str:
    """Decode a body, with control characters and invalid bytes as escapes."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", body.decode(errors="backslashreplace"))


def _headers(request: Request, answer: Answer, normaliser: Normaliser) -> list[str]:
    usual = {**_USUAL, "x-request-id": request.id, "content-length": str(len(answer.body))}
    unusual = [
        f"{name}: {normaliser.header(name, value)}"
        for name, value in sorted(answer.headers)
        if name not in _LEFT_OUT and usual.get(name) != value
    ]
    return unusual + [f"no {name}" for name in usual if name not in dict(answer.headers)]


def write(blocks: Mapping[str, str]) -> None:
    """Replace all recorded answers."""
    for path in FOLDER.glob("*.txt"):
        path.unlink()
    for area in dict.fromkeys(name.partition("/")[0] for name in blocks):
        own = [block for name, block in blocks.items() if name.startswith(f"{area}/")]
        (FOLDER / f"{area}.txt").write_text("\n".join(own))


def read() -> dict[str, str]:
    """Read the recorded blocks, by request name."""
    blocks = {}
    for path in sorted(FOLDER.glob("*.txt")):
        for block in path.read_text().split(f"\n{_HEAD}"):
            whole = block if block.startswith(_HEAD) else f"{_HEAD}{block}"
            name = whole.splitlines()[0].removeprefix(_HEAD)
            blocks[name] = whole if whole.endswith("\n") else f"{whole}\n"
    return blocks


def statuses(blocks: Mapping[str, str]) -> dict[str, int]:
    """HTTP statuses of recorded blocks, by request name."""
    return {name: int(block.splitlines()[2]) for name, block in blocks.items()}


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Describe each request whose answer differs, or that only one side has, as a unified diff."""
    found = []
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            before, after = old.get(name, "").splitlines(), new.get(name, "").splitlines()
            lines: Iterable[str] = difflib.unified_diff(before, after, "recorded", "answered", n=2, lineterm="")
            found.append("\n".join([f"{name} is answered differently:", *lines]))
    return found


def _folded(line: str) -> list[str]:
    """Fold a line to about WIDTH, preferably between objects, so that diffs of long bodies stay local."""
    pieces: list[str] = []
    for item in _OBJECT_END.split(line):
        for part in _COMMA.split(item) if len(item) > WIDTH else [item]:
            if pieces and len(pieces[-1]) + len(part) <= WIDTH:
                pieces[-1] += part
            else:
                pieces.append(part)
    first, *others = pieces or [""]
    return [f"| {first}" if first else "|", *(f"+ {piece}" for piece in others)]
