"""The whole of Portico on one machine, in the foreground: the services, the edge, a default tenant, a token to try it.

Everything listens on loopback and keeps its data in one folder. A service that crashes is started again; Ctrl-C or
SIGTERM stops all in order (services finish what they are doing, then the edge goes) and exits with 0.
"""

import argparse
import asyncio
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from core import commands, config, rlimits, secret_files
from core.config import ConfigError
from tools.seed import NotUpYet, Refused, seed
from tools.settings import RunSettings
from tools.supervisor import Supervisor, say


class StartFailed(Exception):
    """Cannot run; the message says what to do."""


def check_port(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        raise StartFailed(f"port {port} is in use: stop what uses it, or set PORTICO_PORT to another") from None


@contextmanager
def sole_user(data: Path) -> Iterator[None]:
    """Hold the data folder: two launchers on one would start everything twice over the same files."""
    with (data / ".launcher.lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StartFailed(f"another Portico runs on {data}: stop it, or set PORTICO_DATA_DIR to another") from None
        yield


def welcome(supervisor: Supervisor, token: str) -> str:
    return f"""
Portico is ready at {supervisor.url}

  token   {token}
          (also in {supervisor.data / "dev-token"})
  logs    {supervisor.data / "logs"}

Try it:

  curl {supervisor.url}/v1/chat/completions \\
    -H "Authorization: Bearer $(cat {supervisor.data / "dev-token"})" -H "Content-Type: application/json" \\
    -d '{{"model": "echo", "messages": [{{"role": "user", "content": "Hello, Portico!"}}]}}'

Ctrl-C stops everything.
"""


def stop_at_end_of_input(loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
    """Stop when standard input ends, as a pipe does with the program that holds its other end."""

    def ended() -> None:
        loop.remove_reader(sys.stdin)
        stopping.set()

    loop.add_reader(sys.stdin, ended)


async def serve(data: Path, port: int, cors_origins: Sequence[str], *, attached: bool) -> int:
    supervisor = Supervisor(data, port, cors_origins)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, supervisor.stopping.set)
    if attached:
        stop_at_end_of_input(loop, supervisor.stopping)
    say(f"Starting {', '.join(child.name for child in supervisor.children)} ...")
    token = ""

    async def seed_installation() -> bool:
        nonlocal token
        try:
            token = await asyncio.to_thread(seed, supervisor.url, data, supervisor.local_models)
        except NotUpYet:
            return False
        return True

    try:
        await supervisor.start(seed_installation)
        if not supervisor.stopping.is_set() and not supervisor.failed:
            say(welcome(supervisor, token))
            await supervisor.stopping.wait()
    except Refused as refusal:
        supervisor.failed = f"the first tenant could not be made ({refusal}). If {data} is of no use, remove it."
    finally:
        say("Stopping ...")
        await supervisor.stop()
    if supervisor.failed is not None:
        raise StartFailed(supervisor.failed)
    say("Stopped.")
    return 0


def main() -> int:
    try:
        settings = config.load(RunSettings, os.environ)
    except ConfigError as error:
        return commands.complain(error)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=settings.port, help="edge's port")
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=settings.data_dir,
        help="folder of all data, made if missing",
    )
    parser.add_argument("--attached", action="store_true", help="stop when standard input ends")
    given = parser.parse_args()
    data = given.data_dir.resolve()
    secret_files.set_umask()  # for the children too
    rlimits.raise_open_files()  # for the children too
    try:
        check_port(given.port)
        (data / "logs").mkdir(parents=True, exist_ok=True)
        for folder, recursive in ((data, False), (data / "logs", True), (data / "edge", True)):
            secret_files.restrict(folder, recursive=recursive)
        with sole_user(data):
            return asyncio.run(serve(data, given.port, settings.cors_origins, attached=given.attached))
    except StartFailed as failure:
        print(f"Portico cannot run: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
