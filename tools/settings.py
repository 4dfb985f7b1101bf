"""Settings that `make run` itself reads from the environment; everything else there goes on to the services and the
edge."""

from dataclasses import dataclass
from pathlib import Path

from core.config import setting


@dataclass(frozen=True, slots=True)
class RunSettings:
    """`make run`: all of Portico on one machine"""

    port: int = setting("PORTICO_PORT", default=8080, min=1, max=65535, help="The edge's port, on loopback.")
    data_dir: Path = setting("PORTICO_DATA_DIR", default=Path("data"), help="Folder of everything that is kept.")
    cors_origins: tuple[str, ...] = setting(
        "PORTICO_CORS_ORIGINS",
        default=("http://localhost:*", "http://127.0.0.1:*"),
        help="Origins whose pages browsers let call Portico; * stands for any characters.",
    )
