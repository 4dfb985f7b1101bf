"""Each part has every package that its code imports, in its extra and so in its image."""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
OURS = {"core": ROOT, "services": ROOT, "tools": ROOT, "portico": ROOT / "gen"}
STARTS = {
    **{name: f"services.{name}.__main__" for name in ("auth", "inference", "vector", "rag", "tracing")},
    "edge": "tools.edge_container",
}
LEFT_OUT = ("google", "opentelemetry", "compression")
"""Namespaces of several distributions, all of the base; a module of Python 3.14 itself."""


def at_start(statements: list[ast.stmt]) -> Iterator[str]:
    """Modules that are imported when these statements are run: not those of functions, nor of type checking."""
    for node in statements:
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                pass
            case ast.If(body=body, orelse=other) | ast.Try(body=body, orelse=other):
                yield from at_start([*body, *other])
            case ast.Import(names=names):
                yield from (each.name for each in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield module
                yield from (f"{module}.{each.name}" for each in names)


def source(module: str) -> Path | None:
    """The file of a module of ours; None where there is none, as of a name in a module."""
    path = OURS[module.partition(".")[0]].joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((each for each in candidates if each.is_file()), None)


@cache
def imported(module: str) -> tuple[str, ...]:
    path = source(module)
    return () if path is None else tuple(at_start(ast.parse(path.read_text()).body))


@cache
def owners() -> Mapping[str, list[str]]:
    """The distributions of each package that is installed here."""
    return packages_distributions()


def needed(start: str) -> set[str]:
    """Modules of others that are imported when the module `start` is."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        if module.partition(".")[0] in OURS:
            waiting += imported(module)
            waiting += [module.rpartition(".")[0]] if "." in module else []
        else:
            found.add(module)
    return found


@pytest.mark.parametrize("part", STARTS)
def test_a_part_has_the_packages_that_its_code_imports(part: str) -> None:
    """Tracing lacked brotli, which core's HTTP client imports: its container crashed at the start."""
    lock = (ROOT / "deploy" / "docker" / f"{part}.lock").read_text()
    locked = {re.sub(r"[-_.]+", "-", name).lower() for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    missing = set()
    for module in needed(STARTS[part]):
        package = "backports.zstd" if module.startswith("backports.zstd") else module.partition(".")[0]
        if package in sys.stdlib_module_names or package in LEFT_OUT:
            continue
        names = {re.sub(r"[-_.]+", "-", name).lower() for name in owners().get(package, [package])}
        if not names & locked:
            missing.add(package)
    assert not missing
