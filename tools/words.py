"""Refuse the retired words of docs/glossary.md in names, docstrings, docs and contracts.

Usage: python tools/words.py [--count]
"""

import argparse
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GLOSSARY = ROOT / "docs" / "glossary.md"
# tests/compat records what clients send and receive, in the words of its day
_SKIPPED = ("gen/", "docs/glossary.md", "requirements.lock", "tests/compat/", "tests/e2e/node/package-lock.json")
_ROW = re.compile(r"\| `(?P<pattern>(?:[^`|]|\\\|)+)`(?: \(in (?P<folders>[^)]+)\))? \| (?P<say>.+) \|")


@dataclass(frozen=True)
class Retired:
    """A row of the table: what must not be written, below which paths, and what to say instead."""

    pattern: re.Pattern[str]
    folders: tuple[str, ...]
    say: str


def retired_words(glossary: str) -> list[Retired]:
    """The rows below "Retired words". Raises ValueError for a row that cannot be read."""
    _, _, section = glossary.partition("\n## Retired words\n")
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    found = [(row, _ROW.fullmatch(row)) for row in rows]
    if not found or (bad := [row for row, match in found if match is None]):
        raise ValueError(f"rows of {GLOSSARY.name} that cannot be read: {bad if found else 'there are none'}")
    return [
        Retired(re.compile(match["pattern"].replace(r"\|", "|")), _folders(match["folders"]), match["say"])
        for _, match in found
        if match is not None
    ]


def _folders(listed: str | None) -> tuple[str, ...]:
    return tuple(folder.strip() for folder in (listed or "").split(","))


def texts() -> Iterator[tuple[str, str]]:
    """Path and text of every file under version control."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for path in listed.splitlines():
        if not path.startswith(_SKIPPED) and (ROOT / path).is_file():
            try:
                yield path, (ROOT / path).read_text()
            except UnicodeDecodeError:
                continue


def violations(words: list[Retired]) -> Iterator[tuple[Retired, str]]:
    for path, text in texts():
        for word in words:
            if not path.startswith(word.folders):
                continue
            for match in word.pattern.finditer(f"{path}\n{text}"):
                line = text.count("\n", 0, max(match.start() - len(path) - 1, 0)) + 1
                yield word, f"{path}:{line}: {match[0]!r} is retired: say {word.say}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", action="store_true", help="how often each pattern is found, instead of where")
    options = parser.parse_args()
    found = list(violations(retired_words(GLOSSARY.read_text())))
    if options.count:
        for pattern, count in Counter(word.pattern.pattern for word, _ in found).most_common():
            print(f"{count:5} {pattern}")
    else:
        print("\n".join(message for _, message in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
