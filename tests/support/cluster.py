"""The whole of Portico as processes, started by the same program as `make run`."""

import asyncio
import io
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.ports import reserved_port
from tools.seed import MODELS, PROVIDER
from tools.supervisor import ROOT

START_SECONDS = 90
STOP_SECONDS = 60
RELAXED = {
    "PORTICO_AUTH_LOGIN_LIMIT": "10000/minute",
    "PORTICO_AUTH_LOGIN_ADDRESS_LIMIT": "10000/minute",
    "PORTICO_AUTH_REGISTER_LIMIT": "10000/minute",
    "PORTICO_AUTH_FORGOT_LIMIT": "10000/minute",
    "PORTICO_AUTH_FORGOT_ADDRESS_LIMIT": "10000/minute",
    "PORTICO_AUTH_SIGN_IN_LIMIT": "10000/minute",
    "PORTICO_AUTH_TOKEN_LIMIT": "10000/minute",
    "PORTICO_AUTH_INVITATION_LIMIT": "10000/minute",
    "PORTICO_AUTH_CHANGE_LIMIT": "10000/minute",
}
"""A test signs in more often than a person."""


@dataclass
class Cluster:
    """One running Portico with a data folder of its own."""

    data: Path
    env: Mapping[str, str] = field(default_factory=dict)
    stores: Mapping[str, str] = field(default_factory=dict)
    """Settings that name other stores than SQLite and this process's memory."""
    root: Path = ROOT
    """The checkout to run; another one's with its own `.venv`."""
    port: int = 0
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def dev_token(self) -> str:
        return (self.data / "dev-token").read_text().strip()

    def start(self) -> "Cluster":
        """Return when everything is ready. Raises RuntimeError with what the launcher said."""
        self.port = self.port or reserved_port()
        env = {**os.environ, **RELAXED, **self.stores, **self.env}
        env |= {"PORTICO_PORT": str(self.port), "PORTICO_DATA_DIR": str(self.data)}
        self.output = self.data / "launcher.log"
        self.data.mkdir(parents=True, exist_ok=True)
        self.output.touch(mode=0o600)
        with self.output.open("w") as out:
            ours = self.root == ROOT
            python = sys.executable if ours else str(self.root / ".venv" / "bin" / "python")
            command = [python, str(self.root / "tools" / "run_local.py")]
            command += ["--attached"] if ours else []  # earlier versions do not know it
            self.process = subprocess.Popen(
                command, env=env, stdin=subprocess.PIPE, stdout=out, stderr=out, text=True, start_new_session=True
            )
        give_up = time.monotonic() + START_SECONDS
        while "Portico is ready" not in self.output.read_text():
            if self.process.poll() is not None or time.monotonic() > give_up:
                self.stop()
                raise RuntimeError(f"Portico did not start:\n{self.output.read_text()}\n{self.logs()[-8000:]}")
            time.sleep(0.05)
        return self

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The launcher's exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self.leave()

    def leave(self) -> None:
        """Close the launcher's input, as happens when this process ends. It stops by itself then."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.close()

    def pid(self, name: str) -> int:
        """Of a service, the edge or the launcher."""
        processes = json.loads((self.data / "processes.json").read_text())
        return int(processes[name] if name == "launcher" else processes[name]["pid"])

    def service_port(self, name: str) -> int:
        return int(json.loads((self.data / "processes.json").read_text())[name]["port"])

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted((self.data / "logs").glob("*.log")))


@dataclass(frozen=True)
class Answer:
    """Answer to a REST call."""

    status: int
    headers: Mapping[str, str]
    body: Any
    raw: bytes


@dataclass(frozen=True)
class Tenant:
    """A registered tenant and its owner's session."""

    slug: str
    email: str
    password: str
    session: str
    project: str


class Rest:
    """REST calls as a plain HTTP client makes them."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = http

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Answer:
        sent = {"Content-Type": "application/json", **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        payload = json.dumps(body).encode() if body is not None else data
        body_stream = None if payload is None else io.BytesIO(payload)
        async with self.http.request(method, self.url + path, data=body_stream, headers=sent) as response:
            raw = await response.read()
            try:
                parsed = json.loads(raw)
            except ValueError:
                parsed = None
            return Answer(response.status, response.headers, parsed, raw)

    async def ok(self, method: str, path: str, body: object = None, *, token: str | None = None) -> Any:
        """The body of a call that must succeed."""
        answer = await self.call(method, path, body, token=token)
        assert answer.status in (200, 201), f"{method} {path}: {answer.status} {answer.raw!r}"
        return answer.body

    async def register(self) -> Tenant:
        """A new tenant, with a name that nobody had."""
        name = f"Co {secrets.token_hex(5)}"
        email, password = f"owner@{name.lower().replace(' ', '-')}.example.com", f"Aa1!{secrets.token_hex(8)}"
        made = await self.ok(
            "POST",
            "/v1/auth/register",
            {"email": email, "password": password, "name": "Owner", "companyName": name},
        )
        return Tenant(made["tenant"]["slug"], email, password, made["token"], made["projectId"])

    async def token(self, session: str, *scopes: str, **fields: object) -> str:
        """A new API token."""
        wanted = {"label": "test token", "scopes": list(scopes) or ["*"], **fields}
        return str((await self.ok("POST", "/v1/tokens", wanted, token=session))["token"])

    async def echo(self, token: str) -> None:
        """The models `echo` and `echo-embedding`, as `make run` makes them."""
        await self.ok("POST", "/v1/models/providers", PROVIDER, token=token)
        for model in MODELS:
            await self.ok("POST", "/v1/models", model, token=token)


async def until(check: Any, seconds: float = 10.0) -> Any:
    """The first true outcome of an async check."""
    give_up = time.monotonic() + seconds
    while not (outcome := await check()):
        assert time.monotonic() < give_up, "it did not happen in time"
        await asyncio.sleep(0.02)
    return outcome
