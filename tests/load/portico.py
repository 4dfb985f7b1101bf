"""Portico as a benchmark and an end-to-end test start it: one command, a data folder of its own, a port of its own."""

import contextlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.load import programs
from tests.support.ports import reserved_port

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Portico:
    """A running Portico: `pid` is the launcher, the ancestor of every process."""

    pid: int
    port: int
    token: str

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One JSON call below /v1; raises Failed with the answer's text when it is refused."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **self.headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise programs.Failed(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error

    def add_model(self, key: str, base_url: str, upstream_model: str) -> None:
        """A chat model named `key`, with a price, at an OpenAI-compatible provider of its own."""
        provider = {"key": key, "label": key, "driver": "openai-compatible", "settings": {"baseUrl": base_url}}
        self.call("POST", "/models/providers", provider)
        pricing = {"inputTokenPer1M": 0.15, "outputTokenPer1M": 0.6}
        names = {"key": key, "name": key, "providerKey": key, "modelId": upstream_model}
        self.call("POST", "/models", {**names, "category": "llm", "pricing": pricing})

    def recorded_calls(self) -> int:
        """Count the calls that its usage knows of, in all."""
        return sum(row["requests"] for row in self.call("GET", "/usage")["totals"])


@contextlib.contextmanager
def local(folder: Path, *, env: Mapping[str, str] | None = None, checkout: Path = ROOT) -> Iterator[Portico]:
    """Start everything on SQLite below `folder`, wait until it is ready, stop it in order at the end.

    Another `checkout` runs with its own installation.
    """
    port, data = reserved_port(), folder / "data"
    settings = {"PORTICO_PORT": str(port), "PORTICO_DATA_DIR": str(data), **(env or {})}
    environment = programs.clean_environment(folder) | settings
    python = sys.executable if checkout == ROOT else str(checkout / ".venv/bin/python")
    command = [python, str(checkout / "tools/run_local.py")]
    with programs.running(command, env=environment, log=folder / "portico.log") as process:
        _wait_until_ready(process, data / "dev-token", folder / "portico.log")
        yield Portico(process.pid, port, (data / "dev-token").read_text().strip())


def _wait_until_ready(process: subprocess.Popen[str], token: Path, log: Path, seconds: float = 90) -> None:
    """The launcher says so when the first tenant is made, after the token is written."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        if token.exists() and "Portico is ready" in log.read_text():
            return
        time.sleep(0.2)
    raise programs.Failed(f"Portico did not get ready:\n{log.read_text()[-2000:]}")
