"""The ledger that the settings ask for."""

from core.quotas.memory import MemoryLedger
from core.quotas.ports import Ledger
from core.shared import Shared


def make_ledger(shared: Shared) -> Ledger:
    """The ledger that the replicas of a service share."""
    if shared.redis is None:
        return MemoryLedger()
    # Imported here because the library costs time and memory that nobody else needs.
    from core.quotas.redis import RedisLedger

    return RedisLedger(shared.redis)
