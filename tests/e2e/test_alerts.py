"""Alerts of the whole: a server of models is killed, the mail arrives; it comes back, and the incident resolves."""

import asyncio
import hashlib
import hmac
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.support.cluster import Cluster, Rest, Tenant, until
from tests.support.connections import http_session
from tests.support.mail_server import Mailbox, mail_server, text_of
from tests.support.ports import reserved_port
from tools.supervisor import ROOT

POLL_SECONDS = 1
TOKENS_PER_SECOND = 2000
QUICK = {
    "PORTICO_MONITORING_MIN_POLL_SECONDS": str(POLL_SECONDS),
    "PORTICO_ALERT_SECONDS": "0.5",
    "PORTICO_OUTBOUND_ALLOWED_HOSTS": "127.0.0.1",
}
SERVERS = "/v1/monitoring/inference/servers"


class Hooks:
    """A webhook's receiver."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.port = 0

    async def take(self, request: web.Request) -> web.Response:
        self.received.append((dict(request.headers), await request.read()))
        return web.Response(text="ok")


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with mail_server() as box:
        yield box


@pytest.fixture
async def hooks() -> AsyncIterator[Hooks]:
    made, app = Hooks(), web.Application()
    app.router.add_post("/hook", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


@pytest.fixture
async def rest(own_cluster: Cluster, mailbox: Mailbox) -> AsyncIterator[Rest]:
    own_cluster.env = {**QUICK, **mailbox.env}
    await asyncio.to_thread(own_cluster.start)
    async with http_session() as http:
        yield Rest(own_cluster.url, http)


class Vllm:
    """The stand-in as a process of its own, to be killed."""

    def __init__(self, port: int) -> None:
        command = [sys.executable, "-m", "tests.support.fake_vllm", str(port), str(TOKENS_PER_SECOND)]
        self.process = subprocess.Popen(command, cwd=ROOT)
        self.url = f"http://127.0.0.1:{port}/metrics"

    async def ready(self) -> "Vllm":
        async with http_session() as http:

            async def answers() -> bool:
                try:
                    async with http.get(self.url) as answer:
                        return answer.status == 200
                except aiohttp.ClientConnectionError:
                    return False

            await until(answers, 60)
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


async def test_killing_a_server_sends_a_mail_and_its_return_resolves_the_incident(
    rest: Rest, mailbox: Mailbox, hooks: Hooks, own_cluster: Cluster
) -> None:
    tenant, port = await rest.register(), reserved_port()
    vllm = Vllm(port)
    try:
        await vllm.ready()
        await rest.ok("POST", SERVERS, _server(port), token=tenant.session)
        made = (await rest.ok("POST", "/v1/alerts/rules", _rule(hooks.port), token=tenant.session))["rule"]
        secret = next(each["secret"] for each in made["channels"] if each["type"] == "webhook")

        await _check_throughput(rest, tenant)
        polls_before = len(await _polls(rest, tenant))
        vllm.kill()
        killed_at = time.time()
        fired = await _mail_to(mailbox, tenant.email, "[critical] GPU down")
        rows = await _polls(rest, tenant)
        down = [row for row in rows if row["up"] == 0]
        assert len(rows) > polls_before
        event = (await rest.ok("GET", "/v1/alerts/history", token=tenant.session))["events"][0]
        assert len([row for row in down if row["timestamp"] <= event["firedAt"]]) <= 2
        assert "Server up below 1 over 5 minutes" in text_of(fired)
        assert time.time() - killed_at < 60

        vllm = Vllm(port)
        resolved = await _mail_to(mailbox, tenant.email, "[resolved] GPU down")
        assert "resolved" in text_of(resolved)
        incident = (await rest.ok("GET", "/v1/alerts/incidents", token=tenant.session))["incidents"][0]
        assert (incident["status"], incident["resolvedBy"]) == ("resolved", "auto")
        await until(lambda: _all_delivered(rest, tenant))
        _check_signature(hooks, secret)
    finally:
        vllm.kill()


async def test_a_password_is_reset_by_mail_over_rest(rest: Rest, mailbox: Mailbox) -> None:
    tenant = await rest.register()
    await _mail_to(mailbox, tenant.email, "Welcome to Portico")
    asked = await rest.ok("POST", "/v1/auth/forgot-password", {"email": tenant.email})
    assert asked["mailEnabled"]
    mail = await _mail_to(mailbox, tenant.email, "Set a new password")
    token = next(line.strip() for line in text_of(mail).splitlines() if line.startswith("    "))
    body = {"token": token, "newPassword": "Another-Horse-2"}
    assert (await rest.ok("POST", "/v1/auth/reset-password", body))["success"]
    assert (await rest.call("GET", "/v1/auth/session", token=tenant.session)).status == 401
    await rest.ok("POST", "/v1/auth/login", {"email": tenant.email, "password": "Another-Horse-2"})
    assert (await rest.call("POST", "/v1/auth/reset-password", body)).status == 404


def _server(port: int) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}"
    return {"name": "GPU 1", "key": "gpu-1", "type": "vllm", "baseUrl": url, "pollIntervalSeconds": POLL_SECONDS}


def _rule(hook_port: int) -> dict[str, Any]:
    return {
        "name": "GPU down",
        "module": "inference",
        "metric": "server_up",
        "condition": {"operator": "lt", "threshold": 1},
        "scope": {"serverKey": "gpu-1"},
        "channels": [{"type": "email"}, {"type": "webhook", "url": f"http://127.0.0.1:{hook_port}/hook"}],
    }


async def _check_throughput(rest: Rest, tenant: Tenant) -> None:
    """The mean of a few polls is right to 5 %."""

    async def measured() -> Any:
        rows = [row for row in await _polls(rest, tenant) if row.get("generationTokensThroughput")]
        return rows if len(rows) >= 4 else None

    rows = await until(measured, 60)
    seconds = sum(row["intervalSeconds"] for row in rows)
    tokens = sum(row["generationTokensThroughput"] * row["intervalSeconds"] for row in rows)
    assert tokens / seconds == pytest.approx(TOKENS_PER_SECOND, rel=0.05)
    assert rows[0]["gpuCacheUsagePercent"] == pytest.approx(50.0)
    assert rows[0]["runningModels"] == ["llama"]


async def _polls(rest: Rest, tenant: Tenant) -> list[dict[str, Any]]:
    found = await rest.ok("GET", f"{SERVERS}/gpu-1/metrics?limit=1000", token=tenant.session)
    return list(found["metrics"])


async def _mail_to(mailbox: Mailbox, address: str, subject: str) -> Any:
    async def arrived() -> Any:
        return next((mail for mail in mailbox.to(address) if str(mail["Subject"]).startswith(subject)), None)

    return await until(arrived, 60)


async def _all_delivered(rest: Rest, tenant: Tenant) -> bool:
    events = (await rest.ok("GET", "/v1/alerts/history", token=tenant.session))["events"]
    states = [each["status"] for event in events for each in event["channels"]]
    return len(states) == 4 and set(states) == {"delivered"}


def _check_signature(hooks: Hooks, secret: str) -> None:
    assert [headers["X-Portico-Event"] for headers, _ in hooks.received] == ["alert.fired", "alert.resolved"]
    for headers, body in hooks.received:
        stamp, _, given = headers["X-Portico-Signature"].partition(",v1=")
        signed = stamp.removeprefix("t=").encode() + b"." + body
        assert hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() == given
