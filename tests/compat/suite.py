"""A Portico run for the corpus, from this checkout or another one, with a scripted model provider."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.compat.provider import serving
from tests.support.cluster import Cluster
from tools.supervisor import ROOT

ENVIRONMENT = {
    "PORTICO_AUTH_LOGIN_LIMIT": "5/day",
    "PORTICO_FILES_MAX_MB": "1",
    "PORTICO_MAX_USERS_PER_TENANT": "4",
    "PORTICO_MAX_TOKENS_PER_TENANT": "8",
    "PORTICO_AUTH_PASSWORD_MEMORY_KIB": "1024",
    "PORTICO_AUTH_PASSWORD_PASSES": "1",
    "PORTICO_AUTH_SIGN_IN_SECONDS": "0.01",
    "PORTICO_PROVIDER_RETRY_DELAY_SECONDS": "0.01",
    "PORTICO_ALERT_SECONDS": "1",
    "PORTICO_CORS_ORIGINS": "https://app.example.com",
    "PORTICO_OUTBOUND_ALLOWED_HOSTS": "127.0.0.1",
    "PORTICO_OUTBOUND_BLOCK_PRIVATE": "true",
}
"""Limits low enough to be reached, and short pauses."""


@dataclass(frozen=True)
class Suite:
    """Connection data of a running Portico."""

    port: int
    values: Mapping[str, str]
    """Initial values for the templates of requests."""
    known: Mapping[str, str]
    """Texts of this run and the names that replace them in recordings."""


@contextmanager
def running(root: Path = ROOT) -> Iterator[Suite]:
    """Run the checkout at `root`, with its own `.venv`, on an empty data folder."""
    with tempfile.TemporaryDirectory() as folder, serving() as provider:
        cluster = Cluster(Path(folder) / "data", ENVIRONMENT, root=root).start()
        try:
            addresses = {"provider": provider, "edge": cluster.url}
            yield Suite(cluster.port, addresses, {value: f"<{name}>" for name, value in addresses.items()})
        finally:
            cluster.stop()
