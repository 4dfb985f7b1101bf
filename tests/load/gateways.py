"""Installation, configuration, start and requests of each gateway. The versions are pinned here.

Every gateway runs on loopback with nothing beside it: one process of its own (Portico: its edge and services), no
database server, no telemetry. Peers get the configuration that their own manuals advise for production.
"""

import contextlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.load import answers, install, portico, programs, upstream
from tests.load.streams import Target
from tests.support.ports import reserved_port


@dataclass(frozen=True, slots=True)
class Workplace:
    """`cache` keeps what was installed, `folder` lasts for one run, `upstreams` are the base URLs by kind."""

    cache: Path
    folder: Path
    upstreams: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that answers: its first process, what to send it for each kind of request, and, where usage is kept,
    how many calls it has recorded."""

    pid: int
    targets: Mapping[str, Target]
    recorded: Callable[[], int] | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """A row of the table. `does` says what it does for a chat here beyond passing it on."""

    name: str
    title: str
    version: str
    does: str
    start: Callable[[Workplace], contextlib.AbstractContextManager[Running]]
    checkout: Path | None = None
    """Checkout of another Portico; None: this one."""


def _targets(port: int, headers: Callable[[str], Mapping[str, str]]) -> dict[str, Target]:
    """A chat for each kind: the model is named after the kind; `headers` gives a kind's own."""
    targets = {}
    for kind in upstream.KINDS:
        messages = [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "What does a gateway do, and what does it cost?"},
        ]
        body = {"model": kind.name, "messages": messages, "temperature": 0.2, "max_tokens": 256}
        if kind.chunks:
            body["stream"] = True
        targets[kind.name] = Target(
            f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(body).encode(), headers(kind.name)
        )
    return targets


@contextlib.contextmanager
def _litellm(place: Workplace) -> Iterator[Running]:
    venv = install.python_package(place.cache, "litellm", LITELLM_VERSION, extra="proxy")
    key = f"sk-{secrets.token_hex(16)}"
    model = {"model": f"openai/{answers.MODEL}", "api_key": "none"}
    models = [
        {"model_name": name, "litellm_params": {**model, "api_base": base}} for name, base in place.upstreams.items()
    ]
    settings = {
        "model_list": models,
        "general_settings": {"master_key": key, "disable_error_logs": True},
        "litellm_settings": {"telemetry": False, "set_verbose": False, "json_logs": False, "request_timeout": 120},
    }
    config = place.folder / "litellm.json"  # JSON is YAML
    config.write_text(json.dumps(settings))
    port = reserved_port()
    command = [str(venv / "bin/litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    env = programs.clean_environment(place.folder) | {
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "PYTHONOPTIMIZE": "1",
    }
    log = place.folder / "litellm.log"
    with programs.running([*command, *LITELLM_OPTIONS], env=env, log=log) as process:
        programs.wait_for_port(process, port)
        yield Running(process.pid, _targets(port, lambda _: {"Authorization": f"Bearer {key}"}))


@contextlib.contextmanager
def _portkey(place: Workplace) -> Iterator[Running]:
    folder = install.node_package(place.cache, "@portkey-ai/gateway", PORTKEY_VERSION, overrides=PORTKEY_OVERRIDES)
    port = reserved_port()
    command = [str(install.node()), str(folder / "build/start-server.js"), "--headless", f"--port={port}"]
    env = programs.clean_environment(place.folder) | {"NODE_ENV": "production"}

    def headers(kind: str) -> dict[str, str]:
        return {
            "Authorization": "Bearer none",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": place.upstreams[kind],
        }

    with programs.running(command, env=env, log=place.folder / "portkey.log") as process:
        programs.wait_for_port(process, port)
        yield Running(process.pid, _targets(port, headers))


@contextlib.contextmanager
def _portico(place: Workplace, checkout: Path = portico.ROOT) -> Iterator[Running]:
    with portico.local(place.folder, checkout=checkout) as running:
        for name, base in place.upstreams.items():
            running.add_model(name, base, answers.MODEL)
        yield Running(running.pid, _targets(running.port, lambda _: running.headers), running.recorded_calls)


LITELLM_VERSION = "1.106.2"
# Its fastest server: uvicorn, the default, takes a fifth to a third more CPU.
LITELLM_OPTIONS = ("--run_granian", "--num_workers", "1", "--telemetry", "False")
PORTKEY_VERSION = "1.15.2"
# With a later server library each of its streams is a 500: Portkey-AI/gateway#1389.
PORTKEY_OVERRIDES = {"@hono/node-server": "1.14.1"}

GATEWAYS = (
    Gateway("portico", "Portico", "this checkout", "token, tenant, quota, usage, cost", _portico),
    Gateway("litellm", "LiteLLM proxy", LITELLM_VERSION, "master key, cost, kept nowhere", _litellm),
    Gateway("portkey", "Portkey gateway", PORTKEY_VERSION, "checks and counts nothing", _portkey),
)


def beside(checkout: Path) -> Gateway:
    """Another checkout of Portico, usually of an older commit. It needs `make setup` of its own."""
    title = f"Portico of {checkout.name}"
    start = partial(_portico, checkout=checkout.resolve())
    return Gateway(f"portico-{checkout.name}", title, "", "the same", start, checkout)
