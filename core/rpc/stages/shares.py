"""Fair shares of the calls in flight, by tenant or address."""

from core.errors import RateLimited
from core.rpc.call import RpcCall
from core.rpc.limits import ADDRESS_SHARE_PERCENT, ANONYMOUS_PERCENT
from core.rpc.stages.load_shedding import LoadShedding
from core.rpc.stages.stage import Outcome


class Shares:
    """Keeps one caller from taking all places for calls: a tenant, or an address that calls without a token.

    A caller may hold a fixed multiple of the places that are free. Alone it gets `percent` of them all; the more the
    others hold, the fewer, and a newcomer finds a place while there is one. So nobody needs a quota, one tenant can use
    nearly the whole of an installation of its own, and two that hang do not lock out a third.

    Calls without a token have a pool of their own, a part of all places, with shares by address.
    """

    def __init__(self, load: LoadShedding, percent: int) -> None:
        """Set up the stage, which must begin after `load` and after whoever verifies the token."""
        self._load = load
        self._tenants = _Pool(percent)
        self._anonymous = _Pool(ADDRESS_SHARE_PERCENT)

    def begin(self, call: RpcCall) -> None:
        load = self._load
        free = load.limit - load.in_flight + 1  # with the place that this call has
        pool, reason, text = self._tenants, "TENANT_SHARE_EXCEEDED", _TENANT_TEXT
        if call.request.identity is None:
            if call.policy.internal:
                return
            pool, reason, text = self._anonymous, "ADDRESS_SHARE_EXCEEDED", _ADDRESS_TEXT
            free = min(free, max(1, load.limit * ANONYMOUS_PERCENT // 100) - pool.held)
        if not pool.take(call.caller, free):
            raise RateLimited(text, reason=reason, retry_after=1.0)

    def end(self, call: RpcCall, outcome: Outcome) -> None:
        if call.request.identity is not None:
            self._tenants.give_back(call.caller)
        elif not call.policy.internal:
            self._anonymous.give_back(call.caller)


_TENANT_TEXT = "Your organisation has too many calls in flight. Wait until some of them have ended."
_ADDRESS_TEXT = "There are too many calls in flight from your address. Wait until some of them have ended."


class _Pool:
    """Places that callers hold, each at most a multiple of the free ones."""

    def __init__(self, percent: int) -> None:
        self._percent = percent
        self._rest = 100 - percent
        self.by_caller: dict[str, int] = {}
        self.held = 0

    def take(self, caller: str, free: int) -> bool:
        """One place more for `caller`, unless none is free or it has its share."""
        held = self.by_caller.get(caller, 0)
        if free < 1 or held * self._rest >= free * self._percent:
            return False
        self.by_caller[caller] = held + 1
        self.held += 1
        return True

    def give_back(self, caller: str) -> None:
        held = self.by_caller[caller] - 1
        if held:
            self.by_caller[caller] = held
        else:
            del self.by_caller[caller]
        self.held -= 1
