"""The stages that every call passes before its request is read: load shedding, identity, shares, quota."""

import hmac
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from core.config import Secret
from core.context import Identity, Kind, RequestContext
from core.errors import PermissionDenied, PorticoError, RateLimited, Unauthenticated, Unavailable
from core.identity import TokenVerifier
from core.permissions import allows
from core.rate_limits import RateLimits
from core.rpc.call import Call
from core.rpc.limits import ADDRESS_SHARE_PERCENT, ANONYMOUS_PERCENT

SERVICE_SECRET = "x-portico-service-secret"  # noqa: S105  # the name of a header
_BEARER = "Bearer "


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: the name of its gRPC code, and the error that the caller is told; None: it succeeded, or was
    cancelled."""

    code: str
    error: PorticoError | None = None


SUCCEEDED = Outcome("OK")


class Stage(Protocol):
    """One concern. `begin` may refuse the call by raising a PorticoError; `end` runs for every stage that began."""

    def begin(self, call: Call) -> Awaitable[None] | None:
        """What is left to be awaited, if anything. A stage that counts must leave nothing: a call that is cancelled
        there has not begun, and would stay counted."""

    def end(self, call: Call, outcome: Outcome) -> None: ...


class LoadShedding:
    """Refuses at once what would only wait: more than `limit` calls in flight."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.in_flight = 0

    def begin(self, call: Call) -> None:
        if self.in_flight >= self.limit:
            raise Unavailable("Too many calls at once. Try again in a moment.", reason="OVERLOADED", retry_after=1.0)
        self.in_flight += 1

    def end(self, call: Call, outcome: Outcome) -> None:
        self.in_flight -= 1


class Auth:
    """Verifies who calls and whether the RPC's rule lets them: permission comes before existence."""

    def __init__(self, verifier: TokenVerifier, service_secret: Secret) -> None:
        self._verifier = verifier
        self._secret = service_secret.reveal().encode()

    def begin(self, call: Call) -> None:
        policy = call.policy
        if policy.public:
            return
        if policy.internal:
            if not hmac.compare_digest(call.header(SERVICE_SECRET).encode(), self._secret):
                raise Unauthenticated("This call is for Portico's own services.")
            return
        identity = self._identify(call)
        if policy.scope and not allows(identity.scopes, policy.scope):
            raise PermissionDenied(
                f"The token lacks the scope {policy.scope}.", reason="MISSING_SCOPE", metadata={"scope": policy.scope}
            )

    def _identify(self, call: Call) -> Identity:
        authorization = call.header("authorization")
        if not authorization.startswith(_BEARER):
            raise Unauthenticated(
                "No token. Send one as 'Authorization: Bearer ptc_...'; POST /v1/tokens makes one.", reason="NO_TOKEN"
            )
        token = authorization[len(_BEARER) :]
        identity = self._verifier.verify(token)
        old = call.request
        call.bind(RequestContext(old.request_id, identity, token, old.peer_address, old.user_agent, old.deadline))
        return identity

    def end(self, call: Call, outcome: Outcome) -> None:
        pass


class Shares:
    """Keeps one caller from taking all places for calls: a tenant, or an address that calls without a token.

    A caller may hold a fixed multiple of the places that are free. Alone it gets `percent` of them all; the more the
    others hold, the fewer, and a newcomer finds a place while there is one. So nobody needs a quota, one tenant can use
    nearly the whole of an installation of its own, and two that hang do not lock out a third.

    Calls without a token have a pool of their own, a part of all places, with shares by address.
    """

    def __init__(self, load: LoadShedding, percent: int) -> None:
        """Must begin after `load` and after whoever verifies the token."""
        self._load = load
        self._tenants = _Pool(percent)
        self._anonymous = _Pool(ADDRESS_SHARE_PERCENT)

    def begin(self, call: Call) -> None:
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

    def end(self, call: Call, outcome: Outcome) -> None:
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


class Quota:
    """Requests per token, for whoever set a limit. Services' own calls are not counted."""

    def __init__(self, limits: RateLimits, limit: str) -> None:
        self._limits = limits
        self._limit = limit

    async def begin(self, call: Call) -> None:
        identity = call.request.identity
        if identity is not None and identity.kind is not Kind.SERVICE:
            await self._limits.hit(identity.project, f"calls:{identity.token_id}", self._limit)

    def end(self, call: Call, outcome: Outcome) -> None:
        pass
