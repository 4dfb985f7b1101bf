"""Another client is served as if nothing were, while a process does its worst.

For some seconds here; `python -m tests.load.attacks` does the same for half a minute each, and measures.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.edge import Edge, Program, running
from tests.support.waiting import until

MIB = 1024 * 1024
SECONDS = 8
GROWTH = 150 * MIB
"""Most memory that an attack without a token may cost."""
KEPT = 60 * MIB
"""Of that, how much may stay."""
SIGN_INS = 20
"""As many as one address may make without a pause, and fewer."""


@contextmanager
def _attack(edge: Edge, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """An attack from another address that has got what it can get when this returns. Ends by itself."""
    command = [sys.executable, "-m", "tests.support.attacks", *arguments]
    program = Program([*command, "--port", str(edge.port), "--seconds", str(SECONDS)])
    try:
        program.wait_for("attacking")
        yield program.process
    finally:
        program.stop()


def _serve_another(edge: Edge, attack: subprocess.Popen[str]) -> tuple[Counter[int], int]:
    """Statuses of another client's calls as long as the attack goes on, and the most memory that the edge had then."""
    statuses: Counter[int] = Counter()
    memory = 0
    while attack.poll() is None:
        statuses[edge.chat().status] += 1
        statuses[edge.request("GET", "/v1/models").status] += 1
        if statuses.total() < 2 * SIGN_INS:
            statuses[edge.request("POST", "/v1/auth/login", {"email": "a@b.c"}, token=False).status] += 1
        memory = max(memory, edge.resident_bytes())
    return statuses, memory


@pytest.mark.parametrize(
    "arguments",
    [
        ["streams", "--connections", "12", "--streams", "1000", "--bytes", "63488"],
        ["streams", "--connections", "12", "--streams", "100", "--bytes", "63488"],
        ["connections", "--connections", "3000"],
        ["connections", "--connections", "3000", "--first", "POST /v1/auth/login HTTP/1.1\r\nhost: x\r\n"],
    ],
    ids=["bodies in more streams than allowed", "bodies in all streams allowed", "connections", "headers"],
)
def test_an_attack_without_a_token(tmp_path: Path, arguments: list[str]) -> None:
    with running(tmp_path) as edge:
        for _ in range(50):
            assert edge.chat().status == 200
        before, used_before = edge.resident_bytes(), edge.allocated_bytes()
        with _attack(edge, *arguments) as attack:
            statuses, memory = _serve_another(edge, attack)
        assert set(statuses) == {200}, statuses
        assert memory - before <= GROWTH
        assert edge.allocated_bytes() - used_before <= GROWTH / 4


def _bearer(edge: Edge) -> str:
    """The header of a tenant that is not the one served."""
    return f"authorization: Bearer {edge.signer.token(tenant='attacker')}"


async def test_an_attack_with_a_token(tmp_path: Path) -> None:
    """A tenant may send large bodies, and many: the largest are reset before they take much of the memory.

    They took 540 MiB, half of which stayed with the edge for good.
    """
    with running(tmp_path) as edge:
        for _ in range(50):
            assert edge.chat().status == 200
        before = edge.resident_bytes()
        size = [
            *("--streams", "100", "--bytes", str(31 * MIB)),
            *("--path", "/v1/chat/completions", "--header", _bearer(edge)),
        ]
        with _attack(edge, "streams", "--connections", "12", *size) as attack:
            statuses, memory = _serve_another(edge, attack)
        assert set(statuses) == {200}, statuses
        assert memory - before <= GROWTH
        assert edge.statistics()["envoy.overload_actions.reset_high_memory_stream.count"] > 0
        await until(lambda: edge.resident_bytes() - before <= KEPT, 60)


@pytest.mark.parametrize("size", [128 * 1024, 16 * 1024, 4 * 1024])
def test_an_attack_with_json_that_is_dear_to_transcode(tmp_path: Path, size: int) -> None:
    """One body of 30 MiB kept everybody waiting for seconds, and many smaller ones do: the edge has one thread."""
    with running(tmp_path) as edge:
        assert edge.chat().status == 200
        before = edge.resident_bytes()
        path = ["--path", "/v1/models/providers", "--bytes", str(size), "--header", _bearer(edge)]
        with _attack(edge, "json", "--connections", "12", *path) as attack:
            statuses, memory = _serve_another(edge, attack)
        assert set(statuses) == {200}, statuses
        assert memory - before <= GROWTH
