"""`.env.example` names every variable that anything of Portico reads."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
CODE = ("core", "services", "tools")
NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
READS = re.compile(rf"""setting\(|\.get(?:env)?\(\s*["']{NAME.pattern}["']|["']PORTICO_""")
OURS = re.compile(r"\bPORTICO_[A-Z0-9_]*[A-Z0-9]\b")


def described() -> set[str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    return {line.partition("=")[0] for line in lines if line and not line.startswith("#")}


def read_by(tree: ast.Module) -> Iterator[str]:
    """Names of variables: what `setting` declares, what is looked up somewhere, and whatever bears our prefix."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="setting"), args=[ast.Constant(value=str(name)), *_]):
                yield name
            case ast.Call(func=ast.Attribute(attr="get" | "getenv"), args=[ast.Constant(value=str(name)), *_]):
                if NAME.fullmatch(name):
                    yield name
            case ast.Constant(value=str(name)) if OURS.fullmatch(name):
                yield name


def test_every_variable_that_code_reads_is_in_the_example() -> None:
    """Those of `make run` were not."""
    texts = {path: path.read_text() for folder in CODE for path in (ROOT / folder).rglob("*.py")}
    # To parse a file takes milliseconds: only those that may name a variable.
    trees = {path: ast.parse(text) for path, text in texts.items() if READS.search(text)}
    read = {name: path for path, tree in trees.items() for name in read_by(tree)}
    assert {"DB_PROVIDER", "PORTICO_PORT", "PORTICO_EDGE_SECRET"} <= read.keys()
    missing = {name: str(path) for name, path in read.items() if name not in described()}
    assert not missing


def test_every_variable_that_the_edge_or_the_documents_name_is_in_the_example() -> None:
    files = [*(ROOT / "gateway-edge").rglob("*"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "Makefile"]
    named = {name for path in files if path.is_file() for name in OURS.findall(path.read_text())}
    tests_only = {name for name in named if name.startswith("PORTICO_TEST_")}
    assert "PORTICO_EDGE_SECRET" in named
    assert named - tests_only - described() == set()
