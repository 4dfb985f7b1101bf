"""Stop, kill and recovery of the whole, with work in flight. Each test has a Portico of its own."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.support.cluster import STOP_SECONDS, Cluster, Rest, until
from tests.support.connections import http_session
from tests.support.ports import reserved_port
from tests.support.processes import alive
from tools.supervisor import http_status

SLOW = {"key": "slow", "driver": "echo", "label": "Slow", "settings": {"delayMs": 100}}
SLOW_MODEL = {"key": "slow", "name": "Slow", "category": "llm", "providerKey": "slow", "modelId": "echo"}
WORDS = " ".join(f"word{i}" for i in range(20))


@pytest.fixture
async def started(own_cluster: Cluster) -> AsyncIterator[tuple[Cluster, Rest]]:
    await asyncio.to_thread(own_cluster.start)
    async with http_session() as http:
        yield own_cluster, Rest(own_cluster.url, http)


async def test_it_is_ready_when_the_token_of_the_first_tenant_is_written(own_cluster: Cluster) -> None:
    """Whoever waited for readiness and then read `dev-token` found no file."""
    own_cluster.port = reserved_port()
    starting = asyncio.create_task(asyncio.to_thread(own_cluster.start))
    while await http_status(own_cluster.port, "/health/ready") != 200:
        assert not starting.done() or starting.exception() is None
        await asyncio.sleep(0.005)
    assert own_cluster.dev_token.startswith("ptc_")
    await starting
    os.kill(own_cluster.pid("edge"), signal.SIGKILL)  # a new one is ready without anything more being made
    assert await until(lambda: _ready(own_cluster), 30)


async def _ready(cluster: Cluster) -> bool:
    return await http_status(cluster.port, "/health/ready") == 200


def slow_chat(rest: Rest, token: str) -> Any:
    body = {"model": "slow", "stream": True, "messages": [{"role": "user", "content": WORDS}]}
    return rest.http.post(f"{rest.url}/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {token}"})


async def add_slow_model(rest: Rest, token: str) -> None:
    await rest.ok("POST", "/v1/models/providers", SLOW, token=token)
    await rest.ok("POST", "/v1/models", SLOW_MODEL, token=token)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_lets_a_stream_finish_and_exits_with_0(
    started: tuple[Cluster, Rest], number: signal.Signals
) -> None:
    cluster, rest = started
    await add_slow_model(rest, cluster.dev_token)
    async with slow_chat(rest, cluster.dev_token) as response:
        await response.content.readuntil(b"\n\n")
        stopping = asyncio.create_task(asyncio.to_thread(cluster.stop, number))
        rest_of_it = await response.content.read()
    assert b"word19" in rest_of_it
    assert rest_of_it.endswith(b"data: [DONE]\n\n")
    assert await stopping == 0


async def test_a_service_alone_finishes_its_stream_on_sigterm_and_comes_back(started: tuple[Cluster, Rest]) -> None:
    cluster, rest = started
    await add_slow_model(rest, cluster.dev_token)
    pid = cluster.pid("inference")
    async with slow_chat(rest, cluster.dev_token) as response:
        await response.content.readuntil(b"\n\n")
        os.kill(pid, signal.SIGTERM)
        assert (await response.content.read()).endswith(b"data: [DONE]\n\n")
    assert await until(lambda: _healed(cluster, rest, "inference", pid), 30)


async def _healed(cluster: Cluster, rest: Rest, name: str, old: int) -> bool:
    """The edge may call a process ready that has just died, so a call that goes through has the last word."""
    if cluster.pid(name) == old or (await rest.call("GET", "/health/ready")).status != 200:
        return False
    calls = [await rest.call("GET", path, token=cluster.dev_token) for path in ("/v1/models", "/v1/projects")]
    return all(answer.status == 200 for answer in calls)


@pytest.mark.parametrize("name", ["auth", "inference", "edge"])
async def test_a_killed_process_is_healed(started: tuple[Cluster, Rest], name: str) -> None:
    cluster, rest = started
    pid = cluster.pid(name)
    os.kill(pid, signal.SIGKILL)

    async def healed() -> bool:
        try:
            return await _healed(cluster, rest, name, pid)
        except aiohttp.ClientError:  # the edge itself is away
            return False

    assert await until(healed, 30)


@pytest.mark.each_stores
async def test_no_acknowledged_write_is_lost_when_services_are_killed(started: tuple[Cluster, Rest]) -> None:
    cluster, rest = started
    token, kept = cluster.dev_token, list[str]()
    writing = asyncio.Event()

    async def write(worker: int) -> None:
        for i in range(30):
            key = f"m-{worker}-{i}"
            body = {**SLOW_MODEL, "key": key, "providerKey": "echo"}
            try:
                answer = await rest.call("POST", "/v1/models", body, token=token)
            except aiohttp.ClientError:
                continue
            if answer.status == 201:
                kept.append(key)
            if len(kept) > 20:
                writing.set()

    workers = [asyncio.create_task(write(worker)) for worker in range(4)]
    await writing.wait()
    pids = {name: cluster.pid(name) for name in ("auth", "inference")}
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    await asyncio.gather(*workers)
    for name, pid in pids.items():
        assert await until(lambda name=name, pid=pid: _healed(cluster, rest, name, pid), 30)
    models = await rest.ok("GET", "/v1/models", token=token)
    assert set(kept) <= {model["key"] for model in models["models"]}


async def test_chat_goes_on_while_auth_is_away(started: tuple[Cluster, Rest]) -> None:
    """A stopped (not dead) auth is the worse case: nothing refuses, everything hangs."""
    cluster, rest = started
    chat = {"model": "echo", "messages": [{"role": "user", "content": "still there?"}]}
    os.kill(cluster.pid("auth"), signal.SIGSTOP)
    try:
        for _ in range(20):
            answer = await rest.call("POST", "/v1/chat/completions", chat, token=cluster.dev_token)
            assert answer.status == 200
        assert await until(lambda: _is_not_ready(rest), 30)
        live = await rest.call("GET", "/health/live")
        answer = await rest.call("POST", "/v1/chat/completions", chat, token=cluster.dev_token)
    finally:
        os.kill(cluster.pid("auth"), signal.SIGCONT)
    assert live.status == 200
    assert answer.status == 200


async def _is_not_ready(rest: Rest) -> bool:
    return (await rest.call("GET", "/health/ready")).status == 503


async def test_it_ends_with_the_program_that_started_it(started: tuple[Cluster, Rest]) -> None:
    """A suite that was killed left its services behind."""
    cluster, _ = started
    pids = [cluster.pid(name) for name in ("auth", "inference", "edge")]
    cluster.leave()
    assert cluster.process is not None
    assert await asyncio.to_thread(cluster.process.wait, STOP_SECONDS) == 0
    assert not any(alive(pid) for pid in pids)


async def test_a_second_start_keeps_token_tenant_and_data(started: tuple[Cluster, Rest]) -> None:
    cluster, rest = started
    token = cluster.dev_token
    await add_slow_model(rest, token)
    assert await asyncio.to_thread(cluster.stop) == 0
    await asyncio.to_thread(cluster.start)
    assert cluster.dev_token == token
    models = await rest.ok("GET", "/v1/models", token=token)
    assert {"slow", "echo", "echo-embedding"} <= {model["key"] for model in models["models"]}


async def test_a_taken_port_says_what_to_do(started: tuple[Cluster, Rest], tmp_path_factory: Any) -> None:
    cluster, _ = started
    second = Cluster(tmp_path_factory.mktemp("second"), port=cluster.port)
    with pytest.raises(RuntimeError, match="PORTICO_PORT"):
        await asyncio.to_thread(second.start)


async def test_a_data_folder_in_use_says_what_to_do(started: tuple[Cluster, Rest]) -> None:
    cluster, _ = started
    second = Cluster(cluster.data)
    with pytest.raises(RuntimeError, match="PORTICO_DATA_DIR"):
        await asyncio.to_thread(second.start)


async def test_files_of_the_data_folder_are_private(started: tuple[Cluster, Rest]) -> None:
    cluster, _ = started
    for name in ("dev-token", "dev-owner.json", "dev-secrets.json", "portico_main.sqlite", "tenant_default.sqlite"):
        assert (cluster.data / name).stat().st_mode & 0o077 == 0, name
