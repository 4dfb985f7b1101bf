"""Servers of the attacking tenant that answer without end."""

import asyncio
from collections import Counter

from tests.load.attacks.attack import Attack, Strike, Target
from tests.support.cluster import Rest
from tests.support.connections import http_session
from tests.support.hostile_qdrant import HostileQdrant
from tests.support.hostile_servers import HERE, PATHS, SERVERS, at, prepare

_AT_A_TIME = 4


def led_to(driver: str) -> Strike:
    """Calls, through the edge, that make Portico ask the server for something."""

    async def strike(target: Target, seen: Counter[str]) -> None:
        server = SERVERS[driver]
        async with server.open() as port, http_session() as http:
            rest = Rest(f"http://127.0.0.1:{target.ports['edge']}", http)
            await prepare(rest, target.insider, driver, port)

            async def repeat() -> None:
                while True:
                    seen[str(await server.attack(rest, target.insider))] += 1

            await asyncio.gather(*(repeat() for _ in range(_AT_A_TIME)))

    return strike


async def load_qdrant_client(target: Target) -> None:
    """Create an index on a well-behaved Qdrant: loading the client library, some 60 MiB, is not the attack."""
    async with HostileQdrant({}, address=f"{HERE}:0") as server, http_session() as http:
        rest = Rest(f"http://127.0.0.1:{target.ports['edge']}", http)
        provider = {**at("qdrant", HERE, server.port), "key": "well-behaved"}
        await rest.ok("POST", PATHS["qdrant"], provider, token=target.insider)
        index = {"name": "before", "dimension": 4}
        await rest.ok("POST", f"{PATHS['qdrant']}/well-behaved/indexes", index, token=target.insider)


ATTACKS = [
    Attack("rag", "S3: an error of 200 MiB", led_to("s3"), workers=1, known=True),
    Attack("vector", "PostgreSQL: a notice of 80 MiB", led_to("pgvector"), workers=1, known=True),
    Attack(
        "vector",
        "Qdrant: a point of 64 MiB",
        led_to("qdrant"),
        workers=1,
        known=True,
        warm_up=load_qdrant_client,
    ),
]
