"""The real edge before stub services, for tests and measurements.

A stub service is a process of its own that speaks the real contracts but does what the request's `do` says; it prints a
line for what a client cannot see, such as a cancelled stream. `python -m tests.support.edge inference` starts one.
"""

import json
import os
import queue
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

import jwt
import yaml

from tests.support.ports import reserved_port
from tests.support.serving import EDGE_SECRET
from tests.support.tokens import Signer
from tools import edge as tool

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 20.0
Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, read whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The body's error, after the checks that hold for every error of the edge."""
        assert self.headers["content-type"] == "application/json", self
        content = self.json
        assert set(content["error"]) == {"message", "type", "code", "param"}, content
        assert "request_id" in content, content
        error: dict[str, Any] = content["error"]
        return error


class Program:
    """A child process whose lines of standard output can be waited for."""

    def __init__(self, command: list[str], **env: str) -> None:
        self.process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env}, stdout=subprocess.PIPE, text=True)
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.strip())

    def wait_for(self, prefix: str, seconds: float = START_SECONDS) -> str:
        """Return the rest of the next line that begins with `prefix`. Raises queue.Empty after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            if line.startswith(prefix):
                return line.removeprefix(prefix)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()  # both may be done again


def stub_service(
    service: str, signer: Signer, ports: Mapping[str, int] | None = None
) -> tuple[Program, dict[str, int]]:
    """A stub `auth` or `inference`, and the ports that it has got, by cluster; those in `ports` if it is there."""
    ports = ports or {name: reserved_port() for name in (service, f"{service}_http1")}
    keys, wanted = json.dumps([jwk(signer)]), json.dumps(dict(ports))
    program = Program([sys.executable, "-m", "tests.support.stub_services", service, "--keys", keys, "--ports", wanted])
    return program, json.loads(program.wait_for("ports "))


def jwk(signer: Signer) -> dict[str, str]:
    """The public key as KeyService gives it."""
    key = jwt.algorithms.ECAlgorithm.to_jwk(signer.private.public_key(), as_dict=True)
    return {**key, "kid": signer.key_id, "alg": "ES256", "use": "sig"}


@dataclass(slots=True)
class Edge:
    """A running edge, its two stubs, and who signs its tokens."""

    port: int
    admin_port: int
    signer: Signer
    stub_services: dict[str, Program]
    ports: dict[str, int]
    access_log: Path
    pid: int
    token: str = field(init=False)

    def __post_init__(self) -> None:
        self.token = self.signer.token()

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    def open(
        self, method: str, path: str, body: Any = None, headers: Headers | None = None, *, token: bool = True
    ) -> tuple[HTTPConnection, HTTPResponse]:
        """Send a request and read the answer's head. The path goes out as it is; an object as body becomes JSON."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = {**(self.bearer if token else {}), **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("content-type", "application/json")
        with suppress(BrokenPipeError):  # refused before all was sent: the answer is there to be read
            connection.request(method, path, body, sent)
        return connection, connection.getresponse()

    def request(
        self, method: str, path: str, body: Any = None, headers: Headers | None = None, *, token: bool = True
    ) -> Reply:
        connection, response = self.open(method, path, body, headers, token=token)
        with closing(connection):
            return _reply(response)

    def chat(self, body: Any = None, headers: Headers | None = None, *, token: bool = True) -> Reply:
        return self.request("POST", "/v1/chat/completions", body or {"model": "stub"}, headers, token=token)

    def raw(self, request: bytes) -> Reply:
        """The answer to these bytes, or to as many of them as were sent when it came."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            rest = memoryview(request)
            while rest:
                readable, _, _ = select.select([connection], [connection], [])
                if readable:
                    break
                rest = rest[connection.send(rest[:65536]) :]
            response = HTTPResponse(connection)
            response.begin()
            return _reply(response)

    def leave(self, request: bytes) -> None:
        """Send these bytes and go away once the service has been reached."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(request)
            self.stub_services["inference"].wait_for("waiting")

    def logged(self, reply: Reply, seconds: float = START_SECONDS) -> dict[str, Any]:
        """The line of the access log about this answer; Envoy writes them once a second. Raises TimeoutError."""
        wanted = reply.headers["x-request-id"]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in self.access_log.read_text().splitlines():
                if wanted in line:
                    entry: dict[str, Any] = json.loads(line)
                    return entry
            time.sleep(0.1)
        raise TimeoutError(f"no line about {wanted}")

    def statistics(self) -> dict[str, int]:
        """Counters and gauges of Envoy by name."""
        reply = self._admin("/stats?format=json")
        return {item["name"]: item["value"] for item in reply["stats"] if "value" in item}

    def allocated_bytes(self) -> int:
        """Memory that Envoy uses, without what it keeps for later."""
        return int(self._admin("/memory")["allocated"])

    def resident_bytes(self) -> int:
        """Memory that Envoy has from the kernel."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def _admin(self, path: str) -> Any:
        connection = HTTPConnection("127.0.0.1", self.admin_port, timeout=20)
        with closing(connection):
            connection.request("GET", path)
            return json.load(connection.getresponse())

    def wait_for(self, path: str, status: int = 200, seconds: float = START_SECONDS) -> None:
        """Until a GET of `path` has this status. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        seen: Any = None
        while time.monotonic() < deadline:
            try:
                seen = self.request("GET", path)
                if seen.status == status:
                    return
            except (OSError, HTTPException) as error:
                seen = error
            time.sleep(0.05)
        raise TimeoutError(f"{path}: {seen}")


def _reply(response: HTTPResponse) -> Reply:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, headers, response.read())


@dataclass(frozen=True, slots=True)
class Configuration:
    """Configuration that a test may change before the edge reads it."""

    bootstrap: dict[str, Any]
    listeners: dict[str, Any]

    @property
    def manager(self) -> dict[str, Any]:
        """The HTTP connection manager: filters, routes and most limits."""
        return tool.connection_manager(self.listeners)

    @property
    def routes(self) -> dict[str, dict[str, Any]]:
        """Routes by name."""
        return {route["name"]: route for route in self.manager["route_config"]["virtual_hosts"][0]["routes"]}


Patch = Callable[[Configuration], None]

_TOYS = {
    "auth": "auth",
    "inference": "inference",
    "inference_http1": "inference_http1",
    "rag": "auth",
    "tracing": "auth",
    "vector": "auth",
    "vector_http1": "inference_http1",
}
"""The stub's port for each cluster. No test calls rag, tracing and vector there, but the edge is not ready without
them."""
_RECORDER = {name: "recorder_http1" if name.endswith("_http1") else "recorder" for name in _TOYS}


def _without_http1(configuration: Configuration) -> None:
    """Send all calls over HTTP/2: the recorder's other port answers for its health alone."""
    [host] = configuration.manager["route_config"]["virtual_hosts"]
    host["routes"] = [
        each for each in host["routes"] if not each.get("route", {}).get("cluster", "").endswith("_http1")
    ]


@contextmanager
def running(
    folder: Path,
    *,
    patch: Patch | None = None,
    wait: bool = True,
    stop: str = "",
    recorder: bool = False,
    trusted_hops: int = 0,
) -> Iterator[Edge]:
    """An edge with its stubs. `patch` may change its configuration first, to make a limit small for a test.

    Without `wait` it is returned as soon as it is live. The stub `stop` is stopped again before the edge starts. A
    `recorder` stands for all services; it answers every RPC with an empty message.
    """
    signer = Signer()
    with ExitStack() as stack:
        stub_services: dict[str, Program] = {}
        ports: dict[str, int] = {}
        for name in ("recorder",) if recorder else ("auth", "inference"):
            stub_services[name], bound = stub_service(name, signer)
            ports |= bound
            stack.callback(stub_services[name].stop)
        if stop:
            stub_services[stop].stop()
        port, admin_port = reserved_port(), reserved_port()
        access_log = folder / "access.log"
        clusters = {name: ("127.0.0.1", ports[of]) for name, of in (_RECORDER if recorder else _TOYS).items()}
        command = tool.render(
            folder,
            port=port,
            clusters=clusters,
            access_log=access_log,
            trusted_hops=trusted_hops,
            admin_port=admin_port,
        )
        for change in filter(None, (_without_http1 if recorder else None, patch)):
            _change(folder, change)
        envoy = Program(command, PORTICO_EDGE_SECRET=EDGE_SECRET)
        stack.callback(envoy.stop)
        edge = Edge(port, admin_port, signer, stub_services, ports, access_log, envoy.process.pid)
        edge.wait_for("/health/ready" if wait else "/health/live")
        yield edge


def _change(folder: Path, patch: Patch) -> None:
    paths = [folder / name for name in ("envoy.yaml", "listener.yaml")]
    configuration = Configuration(*(yaml.safe_load(path.read_text()) for path in paths))
    patch(configuration)
    tool.write(paths[0], configuration.bootstrap)
    tool.write(paths[1], configuration.listeners)
