"""A server that speaks MongoDB's protocol, for one test run.

MONGODB_URL names one that is there. Else, where Java and Maven are, it is mongo-java-server: in memory, without
sessions, update pipelines, partial indexes and TTL. Elsewhere the tests are skipped.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_SOURCES = Path(__file__).parent
_BUILD_SECONDS = 300
MISSING = "needs MONGODB_URL, or Java and Maven"


@contextlib.contextmanager
def mongodb() -> Iterator[str | None]:
    """Yield the connection string; None where there is no server."""
    if url := os.environ.get("MONGODB_URL"):
        yield url
        return
    folder = _built()
    if folder is None:
        yield None
        return
    command = ["java", "-Xmx1g", "-cp", f"{folder}/lib/*:{folder}", "Server"]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        port = int(server.stdout.readline())
        yield f"mongodb://127.0.0.1:{port}/?directConnection=true"
    finally:
        server.stdin.close()
        server.wait(timeout=30)
        server.stdout.close()


def _built() -> Path | None:
    """The folder of the server's classes, made once per machine; None where it cannot be made."""
    if shutil.which("java") is None or shutil.which("javac") is None or shutil.which("mvn") is None:
        return None
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "portico" / "mongo-java-server-1.47.0"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "Server.class").exists():
            for name in ("pom.xml", "Server.java"):
                shutil.copyfile(_SOURCES / name, folder / name)
            for command in (
                ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"],
                ["javac", "-cp", "lib/*", "Server.java"],
            ):
                if subprocess.run(command, cwd=folder, timeout=_BUILD_SECONDS, check=False).returncode:
                    return None
    return folder
