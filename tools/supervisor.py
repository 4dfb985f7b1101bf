"""Starts the services and the edge of one machine, starts the crashed ones again, and stops them in order."""

import asyncio
import base64
import ctypes
import json
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core import config
from core.secret_files import write_secret
from tools import edge, ports

ROOT = Path(__file__).resolve().parent.parent

READY_SECONDS = 60.0
STOP_SECONDS = 150.0
"""Longer than a service's own grace for calls in flight, so that a stop is never cut short from here."""
EDGE_PORTS = {"inference": "inference_http1", "vector": "vector_http1"}
"""Services with a second port for the edge alone, and the edge's name for that."""
EDGE_SECRET = "PORTICO_EDGE_SECRET"  # noqa: S105  # the name of a variable
MODELS_FOLDER = "models"
"""Folder of local models in the data folder, unless PORTICO_LOCAL_MODELS names another."""
_RESTART_SECONDS = (0.2, 1.0, 5.0)
_STEADY_SECONDS = 30.0
_CONFIG_ERROR = 2
_PR_SET_PDEATHSIG = 1


Prepare = Callable[[], Awaitable[bool]]
"""Step that is repeated until it says that it is done."""

_LAPTOP = {
    # Model servers on one's own machine are the rule here, and plain HTTP cannot carry Secure cookies.
    "PORTICO_OUTBOUND_BLOCK_PRIVATE": "false",
    "PORTICO_INSECURE_COOKIES": "true",
    "PORTICO_DRAIN_SECONDS": "0.2",
}


_SECRETS: Mapping[str, Callable[[], str]] = {
    "PORTICO_SERVICE_SECRET": lambda: secrets.token_urlsafe(48),
    EDGE_SECRET: lambda: secrets.token_urlsafe(48),
    "PORTICO_ENCRYPTION_KEYS": lambda: f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
}


def service_names() -> list[str]:
    """Every package of `services/` is one process; auth first, since the others follow it."""
    names = sorted(path.parent.name for path in (ROOT / "services").glob("*/__main__.py"))
    return sorted(names, key=lambda name: name != "auth")


@dataclass
class Child:
    """One supervised process."""

    name: str
    command: list[str]
    env: Mapping[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None
    crashes: int = 0
    started: float = field(default=0.0)

    async def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                *self.command,
                cwd=ROOT,
                env=dict(self.env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # so that Ctrl-C reaches us alone, and we stop them in order
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        self.started = time.monotonic()

    async def stop(self) -> None:
        process = self.process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            say(f"{self.name} did not stop in {STOP_SECONDS:.0f} s; killing it")
            process.kill()
            await process.wait()

    def last_lines(self, count: int = 15) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-count:] if self.log.exists() else []
        return "\n".join(f"    {line}" for line in lines)


class Supervisor:
    """Starts the children, starts the crashed ones again, stops them in order."""

    def __init__(self, data: Path, port: int, cors_origins: Sequence[str]) -> None:
        self.data = data
        self.port = port
        self._cors_origins = cors_origins
        self.url = f"http://127.0.0.1:{port}"
        self.local_models = Path(os.environ.get("PORTICO_LOCAL_MODELS") or data / MODELS_FOLDER)
        self.stopping = asyncio.Event()
        self.failed: str | None = None
        names = service_names()
        clusters = [*names, *EDGE_PORTS.values()]
        self._gate = socket.socket()
        """Listens once the preparations are done, and so tells the edge."""
        self._gate.bind(("127.0.0.1", 0))
        self._started: asyncio.Server | None = None
        self._reserved = {name: ports.reserve() for name in clusters}
        self.ports = {name: ports.number(holder) for name, holder in self._reserved.items()}
        self.services = [self._service(name) for name in names]
        self.edge = self._edge()
        self._watchers: list[asyncio.Task[None]] = []

    @property
    def children(self) -> list[Child]:
        return [*self.services, self.edge]

    def _service(self, name: str) -> Child:
        env = {
            **_environment(self.data),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen'}",
            "PORTICO_DATA_DIR": str(self.data),
            "PORTICO_LISTEN": f"127.0.0.1:{self.ports[name]}",
            **{f"PORTICO_{each.upper()}_ADDRESS": f"127.0.0.1:{self.ports[each]}" for each in service_names()},
            **{key: os.environ.get(key, value) for key, value in _LAPTOP.items()},
        }
        if self.local_models.is_dir():  # the libraries of local models are loaded where there are some
            env["PORTICO_LOCAL_MODELS"] = str(self.local_models)
        if cluster := EDGE_PORTS.get(name):
            env["PORTICO_EDGE_LISTEN"] = f"127.0.0.1:{self.ports[cluster]}"
        if base := os.environ.get("PORTICO_METRICS_PORT"):  # one port each, counted up from the given one
            env["PORTICO_METRICS_PORT"] = str(int(base) + list(self.ports).index(name))
        return Child(name, [sys.executable, "-m", f"services.{name}"], env, self.data / "logs" / f"{name}.log")

    def _edge(self) -> Child:
        metrics = None
        if base := os.environ.get("PORTICO_METRICS_PORT"):  # after those of the services
            metrics = (os.environ.get("PORTICO_METRICS_HOST") or "127.0.0.1", int(base) + len(self.ports))
        command = edge.render(
            self.data / "edge",
            port=self.port,
            clusters={name: ("127.0.0.1", port) for name, port in self.ports.items()},
            cors_origins=self._cors_origins,
            access_log=self.data / "logs" / "access.log",
            metrics=metrics,
            collector=_collector(),
        )
        edge.add_readiness(self.data / "edge", self._gate.getsockname())
        env = {**os.environ, EDGE_SECRET: dev_secrets(self.data)[EDGE_SECRET]}
        return Child("edge", command, env, self.data / "logs" / "edge.log")

    async def start(self, prepare: Prepare) -> None:
        """Return when all is ready, or `stopping` or `failed` is set. /health/ready says so when `prepare` is done."""
        for child in self.children:
            await child.start()
        self._watchers = [asyncio.create_task(self._keep_alive(child)) for child in self.children]
        self._note_processes()
        give_up = time.monotonic() + READY_SECONDS
        if await self._wait_for(prepare, give_up):
            self._started = await asyncio.start_server(lambda _, writer: writer.close(), sock=self._gate)
            await self._wait_for(self._is_ready, give_up)

    async def stop(self) -> None:
        self.stopping.set()
        for watcher in self._watchers:
            watcher.cancel()
        others = [child for child in self.services if child.name != "auth"]
        await asyncio.gather(*(child.stop() for child in others))
        await asyncio.gather(*(child.stop() for child in self.services))
        await self.edge.stop()
        if self._started is not None:
            self._started.close()
        self._gate.close()
        for holder in self._reserved.values():
            holder.close()
        (self.data / "processes.json").unlink(missing_ok=True)

    async def _keep_alive(self, child: Child) -> None:
        while True:
            process = child.process
            if process is None:
                return
            code = await process.wait()
            if self.stopping.is_set():
                return
            if code == _CONFIG_ERROR:
                self.failed = f"{child.name} refuses its configuration:\n{child.last_lines()}"
                self.stopping.set()
                return
            if time.monotonic() - child.started > _STEADY_SECONDS:
                child.crashes = 0
            pause = _RESTART_SECONDS[min(child.crashes, len(_RESTART_SECONDS) - 1)]
            child.crashes += 1
            say(f"{child.name} ended with {code}; starting it again (log: {child.log})")
            await asyncio.sleep(pause)
            await child.start()
            self._note_processes()

    def _note_processes(self) -> None:
        """Write down, for whoever watches or measures the run: names, process ids, ports."""
        processes = {
            child.name: {"pid": child.process.pid, "port": self.ports.get(child.name, self.port)}
            for child in self.children
            if child.process is not None
        }
        write_secret(self.data / "processes.json", json.dumps({"launcher": os.getpid(), **processes}))

    async def _is_ready(self) -> bool:
        return await http_status(self.port, "/health/ready") == 200

    async def _wait_for(self, done: Prepare, give_up: float) -> bool:
        while time.monotonic() < give_up and not self.stopping.is_set():
            if await done():
                return True
            await asyncio.sleep(0.1)
        if not self.stopping.is_set():
            logs = "\n".join(f"  {child.name}:\n{child.last_lines(5)}" for child in self.children)
            self.failed = f"not ready after {READY_SECONDS:.0f} s. The logs end so:\n{logs}"
        return False


def _collector() -> edge.Collector | None:
    """The collector of spans, by the variables that the services read too."""
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return edge.Collector.of(endpoint, os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")) if endpoint else None


def _die_with_parent() -> None:
    """Make the kernel send SIGTERM to the child when the launcher is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def dev_secrets(data: Path) -> dict[str, str]:
    """This folder's own secrets, each made at the first start that needs it. What the environment sets stands."""
    path = data / "dev-secrets.json"
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    if missing := {name: make() for name, make in _SECRETS.items() if name not in kept}:
        kept |= missing
        write_secret(path, json.dumps(kept))
    return {name: config.read_secret(name, os.environ) or value for name, value in kept.items()}


def _environment(data: Path) -> dict[str, str]:
    """The environment of a service: this process's, with the secrets in their variables."""
    known = dev_secrets(data)
    files = {name + config.FILE_SUFFIX for name in known}
    return {**{name: value for name, value in os.environ.items() if name not in files}, **known}


async def http_status(port: int, path: str) -> int:
    """Status of a GET on loopback; 0: nobody answers."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            line = await reader.readline()
            writer.close()
            return int(line.split()[1])
    except (OSError, TimeoutError, IndexError, ValueError):
        return 0


def say(text: str) -> None:
    print(text, flush=True)
