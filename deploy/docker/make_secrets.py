"""Makes the secrets that docker-compose.yml mounts into containers: `python3 deploy/docker/make_secrets.py [FOLDER]`.

Each is a file of `secrets/`. What is there already stays as it is, so the command can be repeated after an upgrade. The
folder is for its owner alone; the files in it are readable, as each is mounted for another user in a container. Keep a
copy elsewhere: without `encryption_keys`, the stored credentials of providers are lost.
"""

import base64
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "secrets"

REDIS = """\
requirepass {redis_password}
dir /data
appendonly yes
maxmemory 512mb
maxmemory-policy noeviction
"""

SECRETS: dict[str, Callable[[dict[str, str]], str]] = {
    "service_secret": lambda known: secrets.token_urlsafe(48),
    "edge_secret": lambda known: secrets.token_urlsafe(48),
    "encryption_keys": lambda known: f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
    "mongodb_password": lambda known: secrets.token_urlsafe(32),
    "mongodb_url": lambda known: f"mongodb://portico:{known['mongodb_password']}@mongo:27017/?authSource=admin",
    "redis_password": lambda known: secrets.token_urlsafe(32),
    "redis_conf": lambda known: REDIS.format_map(known),
    "redis_url": lambda known: f"redis://:{known['redis_password']}@redis:6379/0",
}
"""How each secret is made, from those before it."""


def make(folder: Path) -> list[str]:
    """Write the secrets that are missing; returns their names."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made: list[str] = []
    known: dict[str, str] = {}
    for name, fresh in SECRETS.items():
        path = folder / name
        if not path.exists():
            path.write_text(fresh(known))
            path.chmod(0o444)
            made.append(name)
        known[name] = path.read_text().strip()
    return made


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    written = make(target)
    sys.stdout.write(f"{target}: made {', '.join(written) or 'nothing, all secrets are there'}\n")
