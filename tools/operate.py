"""Runs an operator's command on the Portico that `make run` has started.

    .venv/bin/python -m tools.operate tenant list
    .venv/bin/python -m tools.operate doctor

It takes secrets and addresses from the data folder, and runs `python -m services.auth` with what follows. Elsewhere the
command is run with the environment of the auth service itself.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from core import config
from core.config import ConfigError
from tools.settings import RunSettings


def environment_of(data: Path) -> Mapping[str, str]:
    """The environment of commands beside the services of a data folder. Raises OSError where none has been started."""
    secrets = json.loads((data / "dev-secrets.json").read_text())
    processes = json.loads((data / "processes.json").read_text())
    ports = {name: each["port"] for name, each in processes.items() if isinstance(each, dict)}
    edge = ports.pop("edge")
    return {
        **secrets,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen'}",
        "PORTICO_DATA_DIR": str(data),
        **{f"PORTICO_{name.upper()}_ADDRESS": f"127.0.0.1:{port}" for name, port in ports.items()},
        "PORTICO_EDGE_URL": f"http://127.0.0.1:{edge}",
    }


def main() -> int:
    try:
        data = config.load(RunSettings, os.environ).data_dir.resolve()
        env = {**os.environ, **environment_of(data)}
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"Portico does not run on this data folder: {error}. Start it with `make run`.", file=sys.stderr)
        return 1
    return subprocess.run([sys.executable, "-m", "services.auth", *sys.argv[1:]], env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
