"""Request quota: a rate limit for each token."""

from core.context import Kind
from core.rate_limits.ports import RateLimits
from core.rpc.call import RpcCall
from core.rpc.stages.stage import Outcome


class Quota:
    """Requests per token, for whoever set a limit. Services' own calls are not counted."""

    def __init__(self, limits: RateLimits, limit: str) -> None:
        self._limits = limits
        self._limit = limit

    async def begin(self, call: RpcCall) -> None:
        identity = call.request.identity
        if identity is not None and identity.kind is not Kind.SERVICE:
            await self._limits.hit(identity.project, f"calls:{identity.token_id}", self._limit)

    def end(self, call: RpcCall, outcome: Outcome) -> None:
        pass
