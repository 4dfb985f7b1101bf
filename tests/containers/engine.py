"""The Docker engine and Compose of this machine, and stand-ins for images that it cannot reach."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

STAND_INS = Path(__file__).parent / "stand-ins"
OFFICIAL = ("mongo:7.0", "redis:7-bookworm")
_MODULES = "java.base,java.sql,java.naming,java.management,java.logging,jdk.unsupported"
MISSING = "needs a Docker engine and Compose"


def run(*command: str | Path, folder: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """The standard output of a program. Raises CalledProcessError, whose notes hold what it said."""
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    try:
        done.check_returncode()
    except subprocess.CalledProcessError as error:
        error.add_note(f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        raise
    return done.stdout


def succeeds(*command: str) -> bool:
    """Return whether a program is there and ends with 0."""
    return (
        shutil.which(command[0]) is not None
        and not subprocess.run(command, capture_output=True, check=False).returncode
    )


@cache
def compose() -> Sequence[str] | None:
    """The command of Compose; None: there is no engine, or no Compose."""
    if not succeeds("docker", "info"):
        return None
    known = (("docker", "compose"), ("docker-compose",))
    return next((command for command in known if succeeds(*command, "version")), None)


def overrides(folder: Path) -> Sequence[Path]:
    """Compose files that name stand-ins, where the official images cannot be pulled; makes their images in `folder`."""
    if all(succeeds("docker", "pull", "--quiet", image) for image in OFFICIAL):
        return ()
    if not succeeds("docker", "image", "inspect", "portico-stand-in/mongo"):
        _build_mongo(folder / "mongo")
    run("docker", "build", "--quiet", "--tag", "portico-stand-in/redis", STAND_INS / "redis")
    return (STAND_INS / "compose.yml",)


def _build_mongo(context: Path) -> None:
    """Build the stand-in for MongoDB with this machine's Java and Maven."""
    shutil.copytree(STAND_INS / "mongo", context)
    run("mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib", folder=context)
    run("javac", "-cp", "lib/*", "StandIn.java", folder=context)
    run("jlink", "--add-modules", _MODULES, "--strip-debug", "--output", "jre", folder=context)
    run("docker", "build", "--quiet", "--tag", "portico-stand-in/mongo", context)


def environment(**values: str) -> dict[str, str]:
    """The environment of this process, with `values`."""
    return {**os.environ, **values}
