"""docker-compose.yml on a real engine: from a clean clone, by the commands of docs/deploy-compose.md, and killed.

`make test-containers` runs it. It takes minutes, most of them to build the images. The tests build on each other, in
the order of the file.
"""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.containers import engine

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("auth", "inference", "vector", "rag", "tracing", "edge")
STORES = ("mongo", "redis")
LARGEST = 250_000_000
"""Bytes of the largest image."""
SECONDS = 180.0
"""Guard against hanging: within it every container is ready again."""
PROJECT = "portico-test"

pytestmark = pytest.mark.skipif(engine.compose() is None, reason=engine.MISSING)


@dataclass(frozen=True)
class Suite:
    """The containers, started from a clone in `folder`."""

    folder: Path
    port: int
    env: dict[str, str]

    def shell(self, script: str) -> str:
        """Run a script of the documents and return what it prints, with the Compose and the port of this test."""
        command = " ".join(engine.compose() or ())
        own = script.replace("docker compose", command).replace("127.0.0.1:8080", f"127.0.0.1:{self.port}")
        return engine.run("bash", "-euo", "pipefail", "-c", own, folder=self.folder, env=self.env)

    def container(self, name: str) -> dict[str, Any]:
        """The state and configuration of a container, as the engine has them."""
        [known] = json.loads(engine.run("docker", "inspect", self.id(name)))
        assert isinstance(known, dict)
        return known

    def id(self, name: str) -> str:
        label = f"label=com.docker.compose.service={name}"
        project = f"label=com.docker.compose.project={PROJECT}"
        return engine.run("docker", "ps", "-aq", "--filter", label, "--filter", project).strip()

    def is_healthy(self, name: str) -> bool:
        state = self.container(name)["State"]
        return bool(state["Running"] and state["Health"]["Status"] == "healthy")

    def is_ready(self) -> bool:
        return self.call("GET", "/health/ready")[0] == 200

    def chat(self, token: str) -> tuple[int, Any]:
        body = {"model": "echo", "messages": [{"role": "user", "content": "Are you there?"}]}
        return self.call("POST", "/v1/chat/completions", body, token)

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        """Status and JSON of an answer; status 0: nobody answers."""
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text.startswith(b"{") else None
        except urllib.error.HTTPError as refusal:
            return refusal.code, None
        except OSError:
            return 0, None


def wait(what: str, done: Callable[[], bool]) -> None:
    """Return when `done` is true."""
    give_up = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < give_up, f"{what}: not after {SECONDS:.0f} s"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    clone = tmp_path_factory.mktemp("clone") / "portico"
    engine.run("git", "clone", "--quiet", ROOT, clone)
    files = ["docker-compose.yml", *map(str, engine.overrides(tmp_path_factory.mktemp("stand-ins")))]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = engine.environment(
        COMPOSE_PROJECT_NAME=PROJECT, COMPOSE_FILE=os.pathsep.join(files), PORTICO_PORT=str(port), IMAGE_TAG="test"
    )
    suite = Suite(clone, port, env)
    if len(files) > 1:  # the stand-in for MongoDB knows no users
        (clone / "secrets").mkdir()
        (clone / "secrets" / "mongodb_url").write_text("mongodb://mongo:27017/?directConnection=true")
    try:
        yield suite
    finally:
        suite.shell("docker compose logs --no-color > compose.log; docker compose down --volumes --timeout 20")


def documented(heading: str) -> list[str]:
    """The scripts under a heading of docs/deploy-compose.md."""
    text = (ROOT / "docs" / "deploy-compose.md").read_text()
    section = re.search(rf"^## {heading}\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    assert section is not None
    return re.findall(r"^```sh\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def answer(suite: Suite) -> str:
    """The output of the documented commands, from a clean clone to the chat."""
    return suite.shell("\n".join(documented("Install")))


@pytest.fixture(scope="module")
def token(suite: Suite, answer: str) -> str:
    owner = json.loads((suite.folder / "owner.json").read_text())
    return str(owner["token"])


def test_the_documented_commands_lead_to_a_chat(answer: str) -> None:
    chat = json.loads(answer[answer.index('{"id":"chatcmpl') :])
    assert "Hello, Portico!" in chat["choices"][0]["message"]["content"]


@pytest.mark.usefixtures("answer")
@pytest.mark.parametrize("part", PARTS)
def test_an_image_is_small(part: str) -> None:
    size = int(engine.run("docker", "image", "inspect", "-f", "{{.Size}}", f"portico/{part}:test"))
    assert size < LARGEST


@pytest.mark.usefixtures("answer")
@pytest.mark.parametrize("part", PARTS)
def test_a_container_can_do_nothing_but_its_work(suite: Suite, part: str) -> None:
    """It is no root, holds no shell, and cannot write outside of its volume."""
    script = (
        "import os\n"
        "assert os.getuid() == os.getgid() == 10001\n"
        "assert not any(os.path.exists(f'{folder}/sh') for folder in ('/bin', '/usr/bin', '/usr/local/bin'))\n"
        "for folder in ('/', '/app', '/usr', '/packages'):\n"
        "    try: open(f'{folder}/x', 'w')\n"
        "    except OSError: pass\n"
        "    else: raise AssertionError(folder)\n"
        "status = dict(line.split(':', 1) for line in open('/proc/1/status').read().splitlines())\n"
        "assert int(status['CapEff'], 16) == int(status['CapBnd'], 16) == 0\n"
        "assert status['NoNewPrivs'].strip() == '1'\n"
    )
    engine.run("docker", "exec", suite.id(part), "python", "-c", script)
    known = suite.container(part)
    values = [each.partition("=")[2] for each in known["Config"]["Env"]]
    secrets = [path.read_text().strip() for path in (suite.folder / "secrets").iterdir()]
    assert not set(values) & set(secrets), "a secret is in the environment"


@pytest.mark.parametrize("name", [*PARTS, *STORES])
def test_a_crashed_container_comes_back_by_itself(suite: Suite, token: str, name: str) -> None:
    """A crash, or the kernel's kill for memory, is a signal to its process, after which the engine starts it again."""
    before = suite.container(name)
    os.kill(before["State"]["Pid"], signal.SIGKILL)
    wait(f"restart of {name}", lambda: suite.container(name)["RestartCount"] > before["RestartCount"])
    wait(f"health of {name}", lambda: suite.is_healthy(name))
    wait("readiness", suite.is_ready)
    wait("a chat", lambda: suite.chat(token)[0] == 200)


@pytest.mark.parametrize("name", [*PARTS, *STORES])
def test_a_container_killed_by_docker_is_started_by_compose(suite: Suite, token: str, name: str) -> None:
    """`docker kill` counts as the operator's wish: no restart policy undoes it, `docker compose up -d` does."""
    engine.run("docker", "kill", suite.id(name))
    suite.shell("docker compose up -d")
    wait(f"health of {name}", lambda: suite.is_healthy(name))
    wait("readiness", suite.is_ready)
    wait("a chat", lambda: suite.chat(token)[0] == 200)


def test_what_was_acknowledged_is_there_after_all_kills(suite: Suite, token: str) -> None:
    """The model of the first chat is still there, and so are usage records of the chats since."""
    status, models = suite.call("GET", "/v1/models", token=token)
    assert status == 200
    assert [model["key"] for model in models["models"]] == ["echo"]

    def counted() -> bool:
        usage = suite.call("GET", "/v1/usage/overview", token=token)[1]
        return bool(usage)

    wait("usage", counted)


def test_a_stop_is_in_order(suite: Suite, answer: str) -> None:
    """Every service ends by itself at SIGTERM, with 0."""
    suite.shell("docker compose stop")
    ended = {part: suite.container(part)["State"]["ExitCode"] for part in PARTS}
    assert ended == dict.fromkeys(PARTS, 0)


def test_a_read_only_service_ends_at_sigterm_as_first_process() -> None:
    """Without an init process: the image's own handler takes the signal."""
    name = f"{PROJECT}-first-process"
    settings = {
        "PORTICO_SERVICE_SECRET": "s" * 40,
        "PORTICO_ENCRYPTION_KEYS": "k1:" + "A" * 43 + "=",
        "PORTICO_GRACE_SECONDS": "5",
    }
    given = [option for key, value in settings.items() for option in ("-e", f"{key}={value}")]
    engine.run("docker", "run", "-d", "--name", name, "--read-only", "--tmpfs", "/tmp", *given, "portico/auth:test")
    try:
        wait("health", lambda: engine.succeeds("docker", "exec", name, "python", "-m", "core.probe"))
        engine.run("docker", "stop", "--time", "30", name)
        assert engine.run("docker", "inspect", "-f", "{{.State.ExitCode}}", name).strip() == "0"
    finally:
        subprocess.run(["docker", "rm", "-fv", name], check=False, capture_output=True)
