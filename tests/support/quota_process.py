"""A replica that reserves and waits, for tests that kill it:
`python -m tests.support.quota_process REDIS_URL LEASE CHARGED HELD`.

It charges and reports CHARGED tokens, reserves HELD more under tests.support.quotas.TOKENS, and prints "holds".
"""

import asyncio
import sys
from dataclasses import replace

from core.config import Secret
from core.quotas.redis import RedisLedger
from core.quotas.rules import Dimension
from core.redis.client import RedisClient
from core.redis.settings import RedisSettings
from tests.support.quotas import SUBJECT, TOKENS, replica


async def hold(url: str, lease: float, charged: int, held: int) -> None:
    client = RedisClient(replace(RedisSettings(), url=Secret(url)))
    admission = replica(RedisLedger(client, lease_seconds=lease), TOKENS)
    (await admission.admit(SUBJECT, {Dimension.TOKENS: charged})).settle()
    await admission.admit(SUBJECT, {Dimension.TOKENS: held})
    await admission.report()
    print("holds", flush=True)
    while True:
        await asyncio.sleep(lease / 4)
        await admission.report()


if __name__ == "__main__":
    asyncio.run(hold(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
