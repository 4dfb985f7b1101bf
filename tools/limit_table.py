"""Writes the table of all limits into the threat model, from the constants, settings and configuration in force.

`--check` fails where the table is stale. Settings stand with their defaults.
"""

import importlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from core import config
from core.http import limits as outbound
from core.limits import Limit
from core.rpc.limit_table import limit_table
from core.rpc.policy import Policy, policies_of
from core.rpc.settings import RpcSettings
from core.rpc.shared_limits import SHARED_LIMITS
from core.sealing import generate_key
from tools import edge_limits

PAGE = ROOT / "docs" / "threat-model.md"
BEGIN, END = "<!-- limits: `make fix` writes what follows -->\n", "<!-- end of limits -->\n"
SERVICES = ("auth", "inference", "vector", "rag", "tracing")


def sections() -> Iterator[tuple[str, Iterable[Limit]]]:
    """Every part of Portico with its limits, in the order in which a request meets them."""
    yield "The edge", edge_limits.limits()
    rpc = config.load(RpcSettings, {"PORTICO_SERVICE_SECRET": "-" * 32})
    yield "Every service", [*limit_table(rpc, _policies()), *SHARED_LIMITS]
    for service in SERVICES:
        limits = importlib.import_module(f"services.{service}.limits").limits
        yield f"The {service} service", limits(_defaults(service))
    yield "Servers that tenants name", [*outbound.rows(), *_outbound()]


def _policies() -> Iterator[Policy]:
    """Policies of every RPC."""
    generated = ROOT / "gen"
    for path in sorted(generated.glob("portico/*/v1/*_service_pb2.py")):
        module = importlib.import_module(".".join(path.relative_to(generated).with_suffix("").parts))
        for service in module.DESCRIPTOR.services_by_name.values():
            yield from policies_of(service).values()


def _outbound() -> Iterator[Limit]:
    for service in SERVICES:
        if (ROOT / "services" / service / "outbound_limits.py").exists():
            module: ModuleType = importlib.import_module(f"services.{service}.outbound_limits")
            yield from module.rows(_defaults(service))


def _defaults(service: str) -> Any:
    settings = importlib.import_module(f"services.{service}.settings").Settings
    return config.load(settings, {"PORTICO_ENCRYPTION_KEYS": generate_key()})


def table(rows: Iterable[Limit]) -> str:
    """The limits in Markdown."""
    lines = [f"| {row.what} | {row.amount} | {row.per} | {row.answer} |" for row in rows]
    return "\n".join(["| what | limit | for each | beyond it |", "|---|---|---|---|", *lines]) + "\n"


def text(current: str) -> str:
    """The page with the tables in their place. Raises ValueError where the marks of the place are missing."""
    before, _, rest = current.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{PAGE} lacks the marks of the tables")
    tables = "\n".join(f"### {title}\n\n{table(rows)}" for title, rows in sections())
    return before + BEGIN + "\n" + tables + "\n" + END + after


def main() -> None:
    current = PAGE.read_text()
    wanted = text(current)
    if "--check" not in sys.argv:
        PAGE.write_text(wanted)
    elif current != wanted:
        sys.exit(f"{PAGE.relative_to(ROOT)} is stale: run `make fix` and commit the result")


if __name__ == "__main__":
    main()
