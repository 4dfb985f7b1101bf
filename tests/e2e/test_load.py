"""Many streams at once: none fails, and the memory that they took is not kept."""

import asyncio
import json

from tests.load import processes
from tests.load.streams import Target, soak
from tests.support.cluster import Cluster, Rest, Tenant, until

STREAMS = 200
CHUNKS = 200
MIB = 1 << 20
PROVIDER = {"key": "paced", "driver": "echo", "label": "Paced", "settings": {"delayMs": 5}}
MODEL = {"key": "paced", "name": "Paced", "category": "llm", "providerKey": "paced", "modelId": "echo"}
ROUNDS = 4


async def test_two_hundred_streams_at_once_leave_nothing_behind(cluster: Cluster, rest: Rest, tenant: Tenant) -> None:
    await rest.ok("POST", "/v1/models/providers", PROVIDER, token=tenant.session)
    await rest.ok("POST", "/v1/models", MODEL, token=tenant.session)
    words = " ".join(f"w{i}" for i in range(CHUNKS))
    body = {"model": "paced", "stream": True, "messages": [{"role": "user", "content": words}]}
    target = Target(
        f"{cluster.url}/v1/chat/completions", json.dumps(body).encode(), {"Authorization": f"Bearer {tenant.session}"}
    )
    used = []
    for _ in range(ROUNDS):  # the first rounds fill pools and caches, which are meant to stay
        soaked = await soak(target, pid=cluster.pid("launcher"), concurrent=STREAMS)
        assert soaked.streams.failures == []
        assert soaked.streams.finished == STREAMS
        assert soaked.streams.events >= STREAMS * CHUNKS
        await asyncio.sleep(0.5)  # the last usage records are written
        used.append(_memory(cluster))
    assert used[-1] - used[1] < 16 * MIB, [each // MIB for each in used]

    async def recorded() -> bool:
        totals = (await rest.ok("GET", "/v1/usage", token=tenant.session))["totals"]
        return bool(totals) and totals[0]["requests"] == STREAMS * ROUNDS

    assert await until(recorded)


def _memory(cluster: Cluster) -> int:
    tree = processes.tree(cluster.pid("launcher"))
    return sum(process.rss for process in tree.processes.values())
