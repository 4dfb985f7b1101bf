"""Load shedding: a bound on the calls in flight."""

from core.errors import Unavailable
from core.rpc.call import RpcCall
from core.rpc.stages.stage import Outcome


class LoadShedding:
    """Refuses at once what would only wait: more than `limit` calls in flight."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.in_flight = 0

    def begin(self, call: RpcCall) -> None:
        if self.in_flight >= self.limit:
            raise Unavailable("Too many calls at once. Try again in a moment.", reason="OVERLOADED", retry_after=1.0)
        self.in_flight += 1

    def end(self, call: RpcCall, outcome: Outcome) -> None:
        self.in_flight -= 1
