"""References of the documents to the tree: paths, targets of make, and the functions that a request is followed
through."""

import ast
import fnmatch
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDES = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
_CODE = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"[\w.-]+(/[\w.*-]+)+/?|[\w-]+/")
_FILE = re.compile(r"[\w*-]+\.(py|md|yaml|toml|proto|lua)")
_MAKE = re.compile(r"\bmake ([a-z][a-z0-9-]*)")
_HOP = re.compile(r"^\| \[(?P<path>[^\]]+)\]\([^)]+\) \| `(?P<symbol>[^`]+)` \|", re.M)
_LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#]*)#(?P<anchor>[^)]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.M)
_BLOCK = re.compile(r"^(?: *```.*?^ *```$|(?: {4}[^\n]*\n)+)", re.M | re.S)


@cache
def tracked() -> frozenset[str]:
    """All files under version control and all folders that hold some."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    files = [Path(line) for line in listed.splitlines()]
    return frozenset(each.as_posix() for file in files for each in (file, *file.parents))


def named_paths(text: str) -> list[str]:
    """Patterns of the paths in code spans that begin with a folder of the repository, and of single file names."""
    roots = {path for path in tracked() if "/" not in path} - {"."}
    spans = [span.rstrip("/") for span in _CODE.findall(_BLOCK.sub("", text))]
    paths = [f"./{span}" for span in spans if _PATH.fullmatch(span) and span.partition("/")[0] in roots]
    return [*paths, *(f"*/{span}" for span in spans if _FILE.fullmatch(span))]


def defined_in(source: str) -> set[str]:
    """Functions and classes of a module, methods as `Class.method`."""
    found = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            functions = (each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
            found |= {f"{node.name}.{each.name}" for each in functions}
    return found


def anchors(text: str) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    headings = _HEADING.findall(_BLOCK.sub("", text))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("guide", GUIDES)
def test_every_heading_that_a_guide_links_to_is_there(guide: str) -> None:
    file = ROOT / guide
    links = _LINK.findall(file.read_text())
    targets = {path: file if not path else file.parent / path for path, _ in links}
    assert [(path, anchor) for path, anchor in links if anchor not in anchors(targets[path].read_text())] == []


@pytest.mark.parametrize("guide", GUIDES)
def test_every_path_that_a_guide_names_is_there(guide: str) -> None:
    """Tests were moved, and the threat model went on naming their old folder."""
    named = named_paths((ROOT / guide).read_text())
    there = [f"./{path}" for path in tracked()]
    assert [pattern for pattern in named if not fnmatch.filter(there, pattern)] == []


@pytest.mark.parametrize("guide", GUIDES)
def test_every_target_that_a_guide_names_is_in_the_makefile(guide: str) -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.M))
    text = (ROOT / guide).read_text()
    code = [*_CODE.findall(text), *_BLOCK.findall(text)]
    assert {target for each in code for target in _MAKE.findall(each)} - targets == set()


def test_every_hop_of_a_followed_request_is_defined_where_the_guide_says() -> None:
    hops = _HOP.findall((ROOT / "docs" / "architecture.md").read_text())
    assert len(hops) > 40
    wrong = []
    for path, symbol in hops:
        source = (ROOT / path).read_text()
        there = symbol in defined_in(source) if path.endswith(".py") else symbol in source
        if not there:
            wrong.append(f"{path}: {symbol}")
    assert wrong == []
