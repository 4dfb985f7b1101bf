"""The providers that every gateway is measured in front of: a static nginx and a paced stream, both on loopback."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.load import answers, programs
from tests.support.ports import reserved_port

LONG, SHORT = 200, 2  # chunks of a stream; the difference of the two is what chunks cost, without what a stream costs


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request: `chunks` is 0 for a plain answer; `paced` tells whether chunks come one by one."""

    name: str
    chunks: int = 0
    paced: bool = False


UNARY = Kind("unary")
BURST = Kind("burst-long", LONG), Kind("burst-short", SHORT)
PACED = Kind("paced-long", LONG, paced=True), Kind("paced-short", SHORT, paced=True)
KINDS = (UNARY, *BURST, *PACED)

_NGINX = """
daemon off; worker_processes 1; pid nginx.pid; error_log stderr warn;
events {{ worker_connections 2048; }}
http {{
  access_log off; sendfile on; tcp_nodelay on; open_file_cache max=16;
  keepalive_timeout 1h; keepalive_requests 1000000000; client_body_buffer_size 256k; client_max_body_size 16m;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server {{
    listen 127.0.0.1:{port} backlog=1024; root {folder}; types {{}}
{locations}
  }}
}}
"""
# nginx answers a POST with no file; the error page of a refusal may be one.
_LOCATION = """    location /{name}/ {{ error_page 405 =200 /{name}.body; return 405; }}
    location = /{name}.body {{ default_type {type}; }}"""


@contextlib.contextmanager
def serve(folder: Path, *, pause: float) -> Iterator[Mapping[str, str]]:
    """Run both; yields each kind's base URL (ending in /v1) by its name. `pause` is the seconds between chunks."""
    with _nginx(folder) as static, _paced(pause) as paced:
        yield {kind.name: f"{paced}/{kind.chunks}/v1" if kind.paced else f"{static}/{kind.name}/v1" for kind in KINDS}


@contextlib.contextmanager
def _nginx(folder: Path) -> Iterator[str]:
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        raise programs.Missing("nginx is not installed: apt-get install nginx-light")
    folder.chmod(0o755)  # started by root, nginx reads the files as another user
    static = [kind for kind in KINDS if not kind.paced]
    for kind in static:
        body = b"".join(answers.events(kind.chunks)) if kind.chunks else answers.completion()
        (folder / f"{kind.name}.body").write_bytes(body)
    locations = "\n".join(
        _LOCATION.format(name=kind.name, type="text/event-stream" if kind.chunks else "application/json")
        for kind in static
    )
    port = reserved_port()
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(port=port, folder=folder, locations=locations))
    with programs.running([program, "-p", str(folder), "-c", str(config)], log=folder / "nginx.log") as process:
        programs.wait_for_port(process, port)
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _paced(pause: float) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.load.paced", "--pause-ms", str(pause * 1000)]
    with programs.running(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
