"""The stages of plans' features and of quotas: which calls they look at."""

from typing import Any, cast

import pytest

from core.context import Identity, Kind, RequestContext
from core.errors import InvalidInput, PermissionDenied, RateLimited, Unavailable
from core.quotas.calls import CallQuotas
from core.quotas.plans import Plan
from core.quotas.rules import Dimension
from core.quotas.source import PolicySource
from core.rpc.call import RpcCall
from core.rpc.policy import Policy
from core.rpc.stages.admissions import Admissions
from core.rpc.stages.features import Features
from core.rpc.stages.stage import SUCCEEDED, Outcome
from core.tenancy import Project, Tenant

PROJECT = Project(Tenant("acme"), "p1")
VECTORS = Policy("/s/m", scope="vectors:read", feature="VECTOR_STORE", quota_domain="vector")
FREE = Policy("/s/free", scope="vectors:read")
LESSER = Plan("lesser", "Lesser", frozenset({"FILES"}))
GREATER = Plan("greater", "Greater")
IDLE: Any = object()


def call(policy: Policy = VECTORS, *, kind: Kind = Kind.API, outer: bool = True, features: Any = None) -> RpcCall:
    identity = Identity(PROJECT, "u1", kind, frozenset({"*"}), "t1", 0.0, None, features)
    return RpcCall(policy, {}, RequestContext("r", identity), 0.0, rest=True, transport=IDLE, outer=outer)


class Source:
    """Plans that are known, or have to be read."""

    def __init__(self, plan: Plan | None, *, known: bool = True) -> None:
        self.plan = plan
        self._known = known

    def known_plan(self, tenant: Tenant) -> Plan | None:
        return self.plan if self._known else None

    async def of(self, tenant: Tenant) -> Any:
        if self.plan is None:
            raise Unavailable("away")
        return self


async def begin(stage: Any, call: RpcCall) -> None:
    if (rest := stage.begin(call)) is not None:
        await rest


class TestFeatures:
    @pytest.mark.parametrize("known", [True, False])
    async def test_a_plan_without_the_feature_refuses(self, known: bool) -> None:
        with pytest.raises(PermissionDenied, match="VECTOR_STORE") as refused:
            await begin(Features(cast(PolicySource, Source(LESSER, known=known))), call())
        assert refused.value.reason == "FEATURE_NOT_IN_PLAN"
        await begin(Features(cast(PolicySource, Source(GREATER, known=known))), call())

    async def test_a_token_without_the_feature_is_refused_whatever_the_plan(self) -> None:
        with pytest.raises(PermissionDenied):
            await begin(Features(cast(PolicySource, Source(GREATER))), call(features=frozenset({"FILES"})))

    @pytest.mark.parametrize("passing", [call(FREE), call(kind=Kind.SERVICE), call(outer=False)])
    async def test_what_is_in_every_plan_and_calls_of_services_pass(self, passing: RpcCall) -> None:
        await begin(Features(cast(PolicySource, Source(LESSER))), passing)

    async def test_the_token_decides_while_no_plan_can_be_read(self) -> None:
        await begin(Features(cast(PolicySource, Source(None))), call())


class Reservation:
    def __init__(self, amounts: Any) -> None:
        self.amounts, self.end = amounts, ""

    def headers(self) -> list[tuple[str, str]]:
        return [("x-ratelimit-limit", "5")]

    def settle(self) -> None:
        self.end = "settled"

    def release(self) -> None:
        self.end = "released"


class Admission:
    """Admits all, and keeps the reservations."""

    def __init__(self, rules: Any = None) -> None:
        self._rules = rules
        self.made: list[Reservation] = []

    def rules(self, subject: Any) -> Any:
        return self._rules

    async def admit(self, subject: Any, amounts: Any, *, fields: Any) -> Reservation:
        self.made.append(Reservation(amounts))
        return self.made[-1]


class TestAdmissions:
    @pytest.mark.parametrize(
        ("outcome", "ends"),
        [
            (SUCCEEDED, ["settled", "settled"]),
            (Outcome("INVALID_ARGUMENT", InvalidInput("x")), ["settled", "released"]),
            (Outcome("CANCELLED", cancelled=True), ["settled", "released"]),
            (Outcome("RESOURCE_EXHAUSTED", RateLimited("x")), ["released", "released"]),
        ],
        ids=lambda each: each.code if isinstance(each, Outcome) else "",
    )
    async def test_a_refused_call_is_not_counted_and_a_failed_one_uses_no_amounts(
        self, outcome: Outcome, ends: list[str]
    ) -> None:
        admission: Any = Admission()
        quotas, made = CallQuotas(admission), call()
        stage = Admissions(quotas)
        made.bind(made.request)
        await begin(stage, made)
        await quotas.use("vector", {Dimension.VECTORS: 3})
        stage.end(made, outcome)
        assert [each.amounts for each in admission.made] == [{Dimension.REQUESTS: 1}, {Dimension.VECTORS: 3}]
        assert [each.end for each in admission.made] == ends
        assert made.take_headers(success=True) == (("x-ratelimit-limit", "5"),)

    @pytest.mark.parametrize("passing", [call(FREE), call(kind=Kind.SERVICE), call(outer=False)])
    async def test_calls_of_services_are_not_counted(self, passing: RpcCall) -> None:
        admission: Any = Admission()
        quotas = CallQuotas(admission)
        passing.bind(passing.request)
        await begin(Admissions(quotas), passing)
        await quotas.use("vector", {Dimension.VECTORS: 3})
        assert admission.made == []

    async def test_without_limits_nothing_is_awaited(self) -> None:
        admission: Any = Admission(rules=())
        assert Admissions(CallQuotas(admission)).begin(call()) is None
