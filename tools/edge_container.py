"""The edge of a container: renders Envoy's configuration from the environment, starts Envoy, and drains it at SIGTERM.

    PORTICO_EDGE_CLUSTERS=auth=auth:50051,inference=inference:50052,... python -m tools.edge_container

A stop has three steps: for PORTICO_DRAIN_SECONDS, in which balancers notice, /health/ready answers 503 and every answer
closes its connection; then the listener closes; requests under way get PORTICO_GRACE_SECONDS to end; then Envoy ends.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core import config
from core.config import ConfigError, Secret, setting
from core.tls import TlsSettings
from tools import edge

ADMIN_PORT = 9901
"""Port of Envoy's admin interface, on loopback."""
_ACTIVE = re.compile(r"^http\.edge\.downstream_rq_active: (\d+)$", re.MULTILINE)
_ACTIVE_STATS = "/stats?filter=^http.edge.downstream_rq_active$"
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """The edge in a container"""

    tls: TlsSettings
    clusters: tuple[str, ...] = setting(
        "PORTICO_EDGE_CLUSTERS",
        default=(),
        help="Where the services are, each as name=host:port: auth, inference, inference_http1, vector, vector_http1, "
        "rag, tracing. Every address of a host is balanced over.",
    )
    secret: Secret | None = setting(
        "PORTICO_EDGE_SECRET",
        default=None,
        min=32,
        help="Known to the edge and the services; proves that a call came through the edge, which alone is believed "
        "about the client's address and about REST. Required behind an edge.",
    )
    port: int = setting("PORTICO_EDGE_PORT", default=8080, min=1, max=65535, help="Port of REST and gRPC.")
    metrics_port: int | None = setting(
        "PORTICO_EDGE_METRICS_PORT",
        default=None,
        min=1,
        max=65535,
        help="Port where Prometheus reads the edge's /metrics; empty: off.",
    )
    trusted_hops: int = setting(
        "PORTICO_TRUSTED_HOPS",
        default=0,
        min=0,
        max=10,
        help="Load balancers of yours in front of the edge, which say the client's address in X-Forwarded-For.",
    )
    concurrency: int = setting("PORTICO_EDGE_THREADS", default=1, min=1, max=64, help="Worker threads of the edge.")
    folder: Path = setting(
        "PORTICO_EDGE_FOLDER",
        default=Path("/tmp/edge"),  # noqa: S108  # a container's own
        help="Folder that the edge's configuration is written to.",
    )
    cors_origins: tuple[str, ...] = setting(
        "PORTICO_CORS_ORIGINS",
        default=("http://localhost:*", "http://127.0.0.1:*"),
        help="Origins whose pages browsers let call Portico; * stands for any characters.",
    )
    drain_seconds: float = setting(
        "PORTICO_DRAIN_SECONDS", default=1.0, min=0, help="Pause between NOT_SERVING and the server's stop."
    )
    grace_seconds: float = setting(
        "PORTICO_GRACE_SECONDS", default=120.0, min=0, help="Time that calls in flight get to end at a stop."
    )

    def __post_init__(self) -> None:
        self.addresses()

    def addresses(self) -> dict[str, edge.Address]:
        """The address of each cluster by its name. Raises ValueError for a text that is not name=host:port."""
        found: dict[str, edge.Address] = {}
        for text in self.clusters:
            name, _, address = text.partition("=")
            host, _, port = address.rpartition(":")
            if not (name and host and port.isdigit()):
                raise ValueError(f"PORTICO_EDGE_CLUSTERS has {text!r}, which is not name=host:port")
            found[name] = (host, int(port))
        return found


def command(settings: EdgeSettings) -> list[str]:
    """Write the configuration and return the command that starts Envoy with it. Raises KeyError for a cluster that the
    edge does not have."""
    started = edge.render(
        settings.folder,
        port=settings.port,
        host="0.0.0.0",  # noqa: S104  # a container's own network
        clusters=settings.addresses(),
        cors_origins=settings.cors_origins,
        trusted_hops=settings.trusted_hops,
        admin_port=ADMIN_PORT,
        metrics=("0.0.0.0", settings.metrics_port) if settings.metrics_port else None,  # noqa: S104
        concurrency=settings.concurrency,
        tls=settings.tls.identity,
    )
    drain = max(1, round(settings.drain_seconds))
    return [*started, "--drain-time-s", str(drain), "--drain-strategy", "immediate"]


def environment(settings: EdgeSettings) -> dict[str, str]:
    """The environment of Envoy, which reads the secret there, wherever ours came from."""
    secret = {} if settings.secret is None else {"PORTICO_EDGE_SECRET": settings.secret.reveal()}
    return {**os.environ, **secret}


def drain(
    admin: Callable[[str, str], str], settings: EdgeSettings, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Let requests under way end. `admin` asks the admin interface: method and path, and returns its answer. Returns
    when no request is left, the grace is over or Envoy has ended."""
    with contextlib.suppress(OSError):
        admin("POST", "/healthcheck/fail")
        admin("POST", "/drain_listeners?graceful")
        sleep(settings.drain_seconds)
        waited = 0.0
        while waited < settings.grace_seconds and _active(admin("GET", _ACTIVE_STATS)):
            sleep(_POLL_SECONDS)
            waited += _POLL_SECONDS


def _active(stats: str) -> int:
    found = _ACTIVE.search(stats)
    return int(found[1]) if found else 0


def _ask(method: str, path: str) -> str:
    """Ask Envoy's admin interface. Raises OSError."""
    request = urllib.request.Request(f"http://127.0.0.1:{ADMIN_PORT}{path}", method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  # our own Envoy
        return str(answer.read().decode())


def run(settings: EdgeSettings) -> int:
    """Run Envoy until it ends or a signal comes; returns the exit status, which is 0 after a signal."""
    envoy = subprocess.Popen(command(settings), env=environment(settings))
    stopping = threading.Event()

    def stop() -> None:
        drain(_ask, settings)
        envoy.terminate()

    def on_signal(*_: object) -> None:
        if stopping.is_set():  # a second signal ends it at once
            envoy.kill()
            return
        stopping.set()
        threading.Thread(target=stop, daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    status = envoy.wait()
    return 0 if stopping.is_set() else status or 1


def main() -> int:
    try:
        settings = config.load(EdgeSettings, os.environ)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
