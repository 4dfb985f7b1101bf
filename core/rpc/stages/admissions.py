"""Admission of calls under the quotas of their domain, which their contract names."""

from collections.abc import Awaitable

from core.context import Kind
from core.errors import RateLimited
from core.quotas import calls
from core.quotas.admission import Reservation
from core.quotas.calls import CallQuotas
from core.rpc.call import RpcCall
from core.rpc.stages.stage import Outcome


class Admissions:
    """Counts the request of each call, and ends what its service reserves besides. Refused calls are not counted."""

    def __init__(self, quotas: CallQuotas) -> None:
        self._quotas = quotas

    def begin(self, call: RpcCall) -> Awaitable[None] | None:
        domain, identity = call.policy.quota_domain, call.request.identity
        if not domain or identity is None or identity.kind is Kind.SERVICE or not call.outer:
            return None
        reserving = self._quotas.begin(identity, domain)
        return None if reserving is None else _tell(call, reserving)

    def end(self, call: RpcCall, outcome: Outcome) -> None:
        if call.policy.quota_domain:
            calls.end(failed=outcome.code != "OK", refused=isinstance(outcome.error, RateLimited))


async def _tell(call: RpcCall, reserving: Awaitable[Reservation]) -> None:
    """Wait for the reservation, and tell with the answer what is left."""
    for name, value in (await reserving).headers():
        call.add_header(name, value, native=True)
