"""Features of plans: refuses calls that the plan of the caller's tenant does not include."""

from collections.abc import Awaitable

from core.context import Identity, Kind
from core.errors import PermissionDenied, Unavailable
from core.quotas.plans import FEATURES, Plan
from core.quotas.source import PolicySource
from core.rpc.call import RpcCall
from core.rpc.stages.stage import Outcome


class Features:
    """Holds a call against the features in its token, which the edge checks too, and against the plan as it is now.

    Calls that services make for a call of a client's are part of that one and not refused by themselves. While no plan
    can be read, the token alone decides.
    """

    def __init__(self, source: PolicySource) -> None:
        self._source = source

    def begin(self, call: RpcCall) -> Awaitable[None] | None:
        feature, identity = call.policy.feature, call.request.identity
        if not feature or identity is None or identity.kind is Kind.SERVICE or not call.outer:
            return None
        if identity.features is not None and feature not in identity.features:
            raise _refused(feature)
        plan = self._source.known_plan(identity.tenant)
        if plan is None:
            return self._read(feature, identity)
        _check(plan, feature)
        return None

    async def _read(self, feature: str, identity: Identity) -> None:
        try:
            quotas = await self._source.of(identity.tenant)
        except Unavailable:
            return
        _check(quotas.plan, feature)

    def end(self, call: RpcCall, outcome: Outcome) -> None:
        pass


def _check(plan: Plan, feature: str) -> None:
    if not plan.has(feature):
        raise _refused(feature)


def _refused(feature: str) -> PermissionDenied:
    return PermissionDenied(
        f"The plan of your organisation does not include {FEATURES.get(feature, feature)} ({feature}). Ask the "
        "operator of this installation for another plan.",
        reason="FEATURE_NOT_IN_PLAN",
        metadata={"feature": feature},
    )
