"""Quotas of the present call: what the chain and a service's domain reserve for it, charged when it has ended.

    await call_quotas.use("vector", {Dimension.VECTORS: 100}, fields={Dimension.VECTORS: "vectors"})

Amounts that the domain does not come to use, because the call fails, return; the request stays counted, unless a limit
refused it.
"""

from collections.abc import Awaitable, Mapping
from contextvars import ContextVar

from core import context
from core.context import Identity
from core.quotas.admission import NO_FIELDS, Admission, Reservation
from core.quotas.rules import Amounts, Dimension, Subject

_REQUEST: Amounts = {Dimension.REQUESTS: 1}
_reserved: ContextVar[list[Reservation] | None] = ContextVar("portico_reservations", default=None)
"""Reservations of the present call, that of the request first; None: it is not counted."""


class CallQuotas:
    """Reserves what calls use. Calls that services make on the way, and jobs, are not counted: the call of the client
    that they are for was."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def begin(self, identity: Identity, domain: str) -> Awaitable[Reservation] | None:
        """Begin to count the present call: its request, and what `use` names. Return what is left to be awaited; None:
        no limit holds."""
        _reserved.set([])
        subject = _subject(identity, domain)
        return None if self._admission.rules(subject) == () else self._admit(subject, _REQUEST, NO_FIELDS)

    async def use(
        self,
        domain: str,
        amounts: Amounts,
        *,
        resource: str = "",
        provider: str = "",
        fields: Mapping[Dimension, str] = NO_FIELDS,
    ) -> None:
        """Reserve amounts for the present call, of a resource and its provider. Raises as `Admission.admit`."""
        if _reserved.get() is None:
            return
        subject = _subject(context.identity(), domain, resource, provider)
        if self._admission.rules(subject) != ():
            await self._admit(subject, amounts, fields)

    async def _admit(self, subject: Subject, amounts: Amounts, fields: Mapping[Dimension, str]) -> Reservation:
        reservation = await self._admission.admit(subject, amounts, fields=fields)
        reserved = _reserved.get()
        assert reserved is not None
        reserved.append(reservation)
        return reservation


def end(*, failed: bool, refused: bool) -> None:
    """End the count of the present call. `refused`: by a limit."""
    for number, reservation in enumerate(_reserved.get() or ()):
        if refused or (failed and number):
            reservation.release()
        else:
            reservation.settle()
    _reserved.set(None)


def _subject(identity: Identity, domain: str, resource: str = "", provider: str = "") -> Subject:
    return Subject(identity.project, domain, identity.subject, identity.token_id, resource, provider)
