"""Corpus of requests, read from `corpus/*.yaml` in the order in which they are made."""

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

FOLDER = Path(__file__).parent / "corpus"
BOUNDARY = "compat-boundary"

_TEMPLATE = re.compile(r"\{\{(.+?)\}\}")
_REPEATED = re.compile(r"(\d+)\*(.+)")
_MOMENT = re.compile(r"now([+-]\d+)([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Request:
    """Request of the corpus. Texts may hold templates: a kept value `{{name}}`, `{{now+2d}}`, `{{1000*x}}`."""

    area: str
    """Name of the file without its number."""
    name: str
    """Unique in the corpus."""
    method: str
    path: str
    token: str | None = None
    """Name of the kept value that is sent as bearer token."""
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    text: str | None = None
    base64: str | None = None
    """Binary body."""
    form: list[dict[str, str]] | None = None
    """Parts of a multipart body: name, text, and optionally filename and type."""
    keep: Mapping[str, str] = field(default_factory=dict)
    """Values for later requests: a path into the answer's JSON (`token.id`, `data.0.id`), or `header NAME`."""
    until: Mapping[str, Any] = field(default_factory=dict)
    """Repeat the request until these paths of the answer's JSON have these values; `records.#` is a length."""

    @property
    def id(self) -> str:
        """Value of `x-request-id`, derived from the name."""
        return re.sub(r"[^\w.-]", "-", self.name.replace("/", "."))

    def target(self, values: Mapping[str, str]) -> str:
        """Path with percent-encoded values in place of the templates."""
        return filled(self.path, {name: quote(value, safe="") for name, value in values.items()})

    def body(self, values: Mapping[str, str]) -> tuple[bytes | None, str | None]:
        """Body and content type; None where there is none."""
        if self.form is not None:
            return _multipart(self.form, values), f"multipart/form-data; boundary={BOUNDARY}"
        if self.base64 is not None:
            return b64decode(self.base64), None
        if self.text is not None:
            return filled(self.text, values).encode(), None
        if self.json is None:
            return None, None
        return json.dumps(_filled_in(self.json, values), ensure_ascii=False).encode(), "application/json"


def load() -> list[Request]:
    """Load all requests. Raises ValueError for a duplicate name."""
    requests = [request for path in sorted(FOLDER.glob("*.yaml")) for request in _read(path)]
    names = [request.name for request in requests]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"duplicate request names: {', '.join(sorted(twice))}")
    return requests


def filled(text: str, values: Mapping[str, str]) -> str:
    """Fill the templates of a text. Raises KeyError for a value that no request has kept."""
    return _TEMPLATE.sub(lambda found: _value(found[1], values), text)


def templates(request: Request) -> list[str]:
    """Names of the kept values that the request refers to."""
    parts = [request.path, *request.headers.values(), request.text or "", json.dumps([request.json, request.form])]
    found = [name for part in parts for name in _TEMPLATE.findall(part)]
    named = [name for name in found if not _REPEATED.fullmatch(name) and not _MOMENT.fullmatch(name)]
    return [*named, *([request.token] if request.token else [])]


def _read(path: Path) -> list[Request]:
    content = yaml.load(path.read_text(), yaml.CSafeLoader)
    area = path.stem.partition("-")[2]
    made = []
    for each in content["requests"]:
        method, _, target = each.pop("send").partition(" ")
        token = each.pop("as", content["as"])
        made.append(
            Request(area, f"{area}/{each.pop('name')}", method, target, None if token == "nobody" else token, **each)
        )
    return made


def _value(name: str, values: Mapping[str, str]) -> str:
    if repeated := _REPEATED.fullmatch(name):
        return repeated[2] * int(repeated[1])
    if moment := _MOMENT.fullmatch(name):
        at = datetime.now(UTC) + timedelta(**{_UNITS[moment[2]]: int(moment[1])})
        return at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return values[name]


def _filled_in(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return filled(value, values)
    if isinstance(value, list):
        return [_filled_in(each, values) for each in value]
    if isinstance(value, dict):
        return {filled(name, values): _filled_in(each, values) for name, each in value.items()}
    return value


def _multipart(parts: list[dict[str, str]], values: Mapping[str, str]) -> bytes:
    lines = []
    for part in parts:
        disposition = f'form-data; name="{part["name"]}"'
        if "filename" in part:
            disposition += f'; filename="{part["filename"]}"'
        lines += [f"--{BOUNDARY}", f"Content-Disposition: {disposition}"]
        lines += [f"Content-Type: {part['type']}"] if "type" in part else []
        lines += ["", filled(part["text"], values)]
    return "\r\n".join([*lines, f"--{BOUNDARY}--", ""]).encode()
