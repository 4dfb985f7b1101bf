"""Traces from the packages of those who send them, unchanged, to the whole of Portico."""

import asyncio
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import node
from tests.support.cluster import Cluster, Rest

AGENT = Path(__file__).parent / "python" / "traced_agent.py"
GO = Path(__file__).parent / "go"


@pytest.fixture(scope="module")
def mark() -> str:
    return secrets.token_hex(8)


async def sessions_of(rest: Rest, token: str, agent: str) -> list[Any]:
    """The sessions of an agent, each with its events."""
    listed = await rest.ok("GET", f"/v1/tracing/sessions?agent={agent}", token=token)
    return [await rest.ok("GET", f"/v1/tracing/sessions/{each['id']}", token=token) for each in listed["sessions"]]


def texts(events: list[Any], kind: str) -> list[Any]:
    return [section for event in events for section in event["sections"] if section["kind"] == kind]


@pytest.mark.parametrize("agent", ["openinference", "openllmetry", "langchain", "openai_agents"])
@pytest.mark.parametrize("exporter", ["grpc", "http"])
async def test_an_instrumented_agent(cluster: Cluster, rest: Rest, mark: str, agent: str, exporter: str) -> None:
    token, name = cluster.dev_token, f"{mark}-{agent}-{exporter}"
    env = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": cluster.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{token}",
        "OTEL_SERVICE_NAME": name,
        "OPENAI_BASE_URL": f"{cluster.url}/v1",
        "OPENAI_API_KEY": token,
    }
    program = await asyncio.create_subprocess_exec(
        sys.executable, AGENT, agent, exporter, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await program.communicate()
    assert program.returncode == 0, output.decode()[-4000:]
    assert b"Failed to export" not in output

    (found,) = await sessions_of(rest, token, name)
    session, events = found["session"], found["events"]
    assert {event["traceId"] for event in events} == {session["traceId"]}
    assert "echo" in session["modelsUsed"]
    assert session["totals"]["inputTokens"] == sum(event["inputTokens"] for event in events) > 0
    assert session["totals"]["outputTokens"] > 0
    assert any("no-such-model" in event.get("error", {}).get("message", "") for event in events)
    messages = {(each["role"], each["content"]) for each in texts(events, "message")}
    assert {("system", "Be short."), ("user", "Weather in Rome?")} <= messages
    if agent in ("openinference", "openllmetry"):
        assert texts(events, "tool_call")[0] == {
            "kind": "tool_call",
            "id": "c1",
            "tool": "weather",
            "arguments": {"city": "Rome"},
        }
    else:
        assert session["toolsUsed"] == ["weather"]
        assert any(each["tool"] == "weather" for each in texts(events, "tool_call"))
    if agent != "openai_agents":  # its spans do not tell
        offered = [tool["name"] for menu in texts(events, "tool_definitions") for tool in menu["tools"]]
        assert offered[:1] == ["weather"]


@pytest.fixture(scope="module", params=["", "/api/client/v1"])
def sent(cluster: Cluster, request: pytest.FixtureRequest) -> tuple[str, Any]:
    """Answers to the SDK, for each form of base URL that its users have."""
    node.install()
    mark = secrets.token_hex(8)
    env = {"PORTICO_TOKEN": cluster.dev_token, "PORTICO_MARK": mark, "PORTICO_HOST": cluster.url}
    return mark, node.run("tracing.mjs", {"PORTICO_URL": cluster.url + request.param, **env})


def test_the_sdks_methods(sent: tuple[str, Any]) -> None:
    mark, answers = sent
    assert answers["ingest"] == {"success": True, "sessionId": f"{mark}-whole", "eventsStored": 1}
    assert answers["start"] == {"success": True, "sessionId": f"{mark}-stream", "status": "in_progress"}
    appended = {"success": True, "sessionId": f"{mark}-stream", "eventId": "1", "totalEvents": 1}
    assert answers["append"] == answers["again"] == appended
    assert (answers["end"]["status"], answers["end"]["totalEvents"]) == ("success", 1)
    assert answers["refused"] == {"status": 404, "message": "There is no such session. Start it first."}
    assert answers["otlp"] == {"success": True, "spansProcessed": 1, "sessionsIngested": 1, "eventsStored": 1}


async def test_every_event_of_the_langchain_handler_is_there(
    cluster: Cluster, rest: Rest, sent: tuple[str, Any]
) -> None:
    """Regression guard: with autoFlush each batch has only the new events, and replaced those before it."""
    found = await rest.ok("GET", f"/v1/tracing/sessions/{sent[0]}-langchain", token=cluster.dev_token)
    assert sorted((event["type"], event["id"]) for event in found["events"]) == [
        ("chain_end", "run-1"),
        ("chain_start", "run-1"),
        ("llm_end", "run-2"),
        ("llm_end", "run-4"),
        ("llm_start", "run-2"),
        ("llm_start", "run-4"),
        ("tool_end", "run-3"),
        ("tool_start", "run-3"),
    ]
    assert found["session"]["totals"]["inputTokens"] == 8
    assert found["session"]["totals"]["outputTokens"] == 9


@pytest.mark.parametrize("exporter", ["sdk", "json", "gzip", "protobuf", "grpc"])
async def test_an_exporter_for_javascript(cluster: Cluster, rest: Rest, sent: tuple[str, Any], exporter: str) -> None:
    _check_exported(await sessions_of(rest, cluster.dev_token, f"{sent[0]}-{exporter}"))


def _check_exported(sessions: list[Any]) -> None:
    (found,) = sessions
    assert found["session"]["totals"]["inputTokens"] == 11
    assert found["session"]["modelsUsed"] == ["gpt"]
    (call,) = (event for event in found["events"] if event["type"] == "ai_call")
    assert (call["status"], call["error"]["message"]) == ("error", "it broke")
    assert texts([call], "message")[0]["content"] == "Hi"
    assert len(found["events"]) == 2


@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed")
async def test_the_exporters_for_go(cluster: Cluster, rest: Rest) -> None:
    mark = secrets.token_hex(8)
    env = {**os.environ, "PORTICO_URL": cluster.url, "PORTICO_TOKEN": cluster.dev_token, "PORTICO_MARK": mark}
    program = await asyncio.create_subprocess_exec(
        "go", "run", ".", cwd=GO, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await program.communicate()
    assert program.returncode == 0, output.decode()[-4000:]
    for name in ("grpc", "http"):
        _check_exported(await sessions_of(rest, cluster.dev_token, f"{mark}-{name}"))
