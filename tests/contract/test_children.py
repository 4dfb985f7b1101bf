"""Children of a process that serves gRPC."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from core import children

ROOT = Path(__file__).parents[2]
PYTHON = (sys.executable, "-c")

BUSY_SERVER = """
import asyncio, sys
import grpc, uvloop
import os
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"  # too late, so that importing core does not refuse
from core import children

async def main():
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        call = channel.unary_unary("/no/such")
        async def traffic():
            while True:
                try:
                    await call(b"")
                except grpc.aio.AioRpcError:
                    pass
        busy = [asyncio.create_task(traffic()) for _ in range(2)]
        codes = [await children.start(["/bin/true"]).wait() for _ in range(200)]
        print(sorted(set(codes)))
        for each in busy:
            each.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
    await server.stop(0)

uvloop.run(main())
"""


def test_no_child_of_a_busy_grpc_server_crashes() -> None:
    """gRPC's fork handlers, which this process has on, ended 5 to 10 of 100 children of uvloop's with SIGSEGV
    (grpc/grpc#43055)."""
    env = {key: value for key, value in os.environ.items() if key != "GRPC_ENABLE_FORK_SUPPORT"}
    done = subprocess.run([*PYTHON, BUSY_SERVER], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.stdout == "[0]\n", done.stderr[-2000:]
    assert "fork" not in done.stderr


ENTRIES = sorted(f"services.{each.parent.name}" for each in (ROOT / "services").glob("*/__main__.py"))
ENTRIES += ["tools.run_local", "tests.support.rag_process", "tests.support.vector_process"]

LOADED_WITH = """
import os, runpy, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "grpc":
            print(os.environ.get("GRPC_ENABLE_FORK_SUPPORT"))
sys.meta_path.insert(0, Finder())
runpy.run_module(sys.argv[1], run_name="loaded")
print(os.environ.get("GRPC_ENABLE_FORK_SUPPORT"))
"""


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_program_switches_the_fork_handlers_off_before_it_loads_grpc(entry: str) -> None:
    """They were switched off after gRPC had been loaded, which has no effect (grpc/grpc#43055)."""
    env = {**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen'}"}
    program = [*PYTHON, LOADED_WITH, entry]
    done = subprocess.run(program, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert set(done.stdout.split()) == {"0"}, done.stderr[-2000:]


def test_core_refuses_to_follow_grpc() -> None:
    env = {key: value for key, value in os.environ.items() if key != "GRPC_ENABLE_FORK_SUPPORT"}
    program = [*PYTHON, "import grpc, core"]
    done = subprocess.run(program, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "Import core before grpc" in done.stderr


@pytest.mark.parametrize("folder", ["core", "services"])
def test_services_start_children_in_one_way(folder: str) -> None:
    """Whatever forks runs gRPC's handlers. `optimise` is a program without gRPC and without a loop."""
    starts = re.compile(r"\b(subprocess_exec|subprocess_shell|os\.fork|os\.system|multiprocessing|subprocess\.\w+\()")
    allowed = {"core/children.py", "services/vector/adapters/embedded/optimise.py"}
    sources = {str(each.relative_to(ROOT)): each.read_text() for each in (ROOT / folder).rglob("*.py")}
    guard = "services/rag/adapters/conversion/sandbox.py"  # names what it forbids
    assert not [name for name, text in sources.items() if name not in {*allowed, guard} and starts.search(text)]


async def test_a_child_that_ends_tells_its_code() -> None:
    assert await children.start([*PYTHON, "raise SystemExit(3)"]).wait() == 3
    killed = children.start([*PYTHON, "import time; time.sleep(60)"])
    assert killed.returncode is None
    killed.kill()
    assert await killed.wait() == -signal.SIGKILL
    assert killed.returncode == -signal.SIGKILL
    killed.kill()  # nobody is hit any more


async def test_who_waits_may_be_cancelled_and_wait_again() -> None:
    child = children.start([*PYTHON, "import time; time.sleep(60)"])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await child.wait()
    child.kill()
    codes = await asyncio.gather(child.wait(), child.wait())
    assert set(codes) == {-signal.SIGKILL}


PARENT = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"


async def test_nothing_is_left_of_a_program_that_was_running() -> None:
    async with children.running([*PYTHON, PARENT]) as (child, output):
        grandchild = Path(f"/proc/{int(await output.readline())}/stat")
        assert not ended(grandchild)
    assert child.returncode == -signal.SIGKILL
    async with asyncio.timeout(10):
        while not ended(grandchild):
            await asyncio.sleep(0.01)


def ended(stat: Path) -> bool:
    """Return whether the process is gone, or a zombie that nobody waits for."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def test_a_program_that_is_not_there_is_an_error_of_the_system() -> None:
    with pytest.raises(FileNotFoundError):
        children.start(["/no/such/program"])
    with pytest.raises(FileNotFoundError):
        async with children.running(["/no/such/program"]):
            pass


async def test_many_at_a_time() -> None:
    async def one() -> int:
        async with children.running(["/bin/echo", "hello"]) as (child, output):
            assert await output.read() == b"hello\n"
            return await child.wait()

    codes = await asyncio.gather(*(one() for _ in range(30)))
    assert Counter(codes) == {0: 30}
