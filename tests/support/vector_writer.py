"""Writes points into an embedded index until it is killed; prints the number of each batch once it is acknowledged.

python -m tests.support.vector_writer <folder>
"""

import asyncio
import sys
from pathlib import Path

from core.tenancy import Project, Tenant
from services.vector.adapters.embedded.engine import EmbeddedEngine
from services.vector.domain.points import IndexSpec, Point, vector
from services.vector.ports import IndexLocation

LOCATION = IndexLocation(Project(Tenant("red"), "p1"), "idx")
SPEC = IndexSpec(1024)
BATCH = 100


def batch(number: int) -> list[Point]:
    return [
        Point(f"{number}-{at}", vector([(number * BATCH + at + k * k) % 97 for k in range(1024)]), {"batch": number})
        for at in range(BATCH)
    ]


async def main(folder: Path) -> None:
    engine = EmbeddedEngine(folder, stale_bytes=12_000_000, quiet_seconds=0)
    await engine.create(LOCATION, SPEC)
    for number in range(100_000):
        await engine.upsert(LOCATION, batch(number))
        print(number, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
