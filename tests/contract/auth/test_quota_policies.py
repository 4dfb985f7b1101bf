"""Quota policies and budgets: what may be written, who reaches which, and when they hold."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from core import commands
from core.quotas.rules import Dimension, Subject, Window
from core.tenancy import Project, Tenant
from portico.auth.v1 import budget_service_pb2 as budgets
from portico.auth.v1 import project_service_pb2 as projects
from portico.auth.v1 import quota_service_pb2 as pb
from portico.auth.v1 import token_service_pb2 as tokens
from services.auth.commands import COMMANDS
from services.auth.domain import quota_policies
from tests.support.auth_checks import C, identity_of, refusal
from tests.support.auth_service import AuthClient, Person, auth_service, environment

PER_MINUTE = {"rate_limit": {"requests": {"per_minute": 5}}}


async def create(auth: AuthClient, token: str, **fields: Any) -> pb.QuotaPolicy:
    request = pb.CreateQuotaPolicyRequest(**{"scope": "tenant", "limits": PER_MINUTE, **fields})
    made: pb.QuotaPolicy = (await auth.call(auth.quotas.CreateQuotaPolicy, request, token)).policy
    return made


async def budget(auth: AuthClient, token: str, **fields: Any) -> budgets.Budget:
    request = budgets.CreateBudgetRequest(**{"monthly_limit_usd": 250, **fields})
    made: budgets.Budget = await auth.call(auth.budgets.CreateBudget, request, token)
    return made


async def listed(auth: AuthClient, token: str) -> list[str]:
    answer = await auth.call(auth.quotas.ListQuotaPolicies, pb.ListQuotaPoliciesRequest(), token)
    return [each.id for each in answer.policies]


class TestPolicies:
    async def test_life_of_a_policy(self, auth: AuthClient, owner: Person) -> None:
        limits: dict[str, Any] = {
            "rate_limit": {"requests": {"per_minute": 5}, "tokens": {"per_day": 1000}},
            "per_request": {"max_output_tokens": 100},
            "quotas": {"max_vectors_total": 5_000_000_000},
            "budget": {"daily_spend_limit": 12.5, "alert_thresholds": [50, 80]},
        }
        made = await create(auth, owner.token, label="Team", domain="llm", limits=limits, priority=3)
        assert (made.scope, made.domain, made.priority, made.enabled) == ("tenant", "llm", 3, True)
        assert made.project_id == ""
        assert made.limits == pb.QuotaLimits(**limits)
        change = pb.UpdateQuotaPolicyRequest(id=made.id, enabled=False, limits=PER_MINUTE)
        changed = (await auth.call(auth.quotas.UpdateQuotaPolicy, change, owner.token)).policy
        assert (changed.enabled, changed.label, changed.limits) == (False, "Team", pb.QuotaLimits(**PER_MINUTE))
        got = await auth.call(auth.quotas.GetQuotaPolicy, pb.GetQuotaPolicyRequest(id=made.id), owner.token)
        assert got.policy == changed
        await auth.call(auth.quotas.DeleteQuotaPolicy, pb.DeleteQuotaPolicyRequest(id=made.id), owner.token)
        assert await listed(auth, owner.token) == []

    async def test_a_change_holds_at_once(self, auth: AuthClient, owner: Person) -> None:
        source = auth.running.platform.policies
        call = Subject(Project(Tenant("acme"), owner.project), "vector", user=owner.user)
        assert await source.find(call) == ()
        made = await create(auth, owner.token)
        (rule,) = await source.find(call)
        assert (rule.dimension, rule.window, rule.limit, rule.policy) == (
            Dimension.REQUESTS,
            Window.MINUTE,
            5,
            made.id,
        )

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"scope": ""}, "scope"),
            ({"scope": "planet"}, "scope"),
            ({"domain": "music"}, "domain"),
            ({"scope": "user"}, "scopeId"),
            ({"scope": "token", "scope_id": "gone"}, "scopeId"),
            ({"scope_id": "u1"}, "scopeId"),
            ({"scope": "resource"}, "scopeId"),
            ({"priority": 1001}, "priority"),
            ({"label": "x" * 101}, "label"),
            ({"limits": {}}, "limits"),
            ({"limits": {"rate_limit": {"requests": {"per_minute": -5}}}}, "limits.rateLimit.requests.perMinute"),
            ({"limits": {"per_request": {"max_file_size": 0.5}}}, "limits.perRequest.maxFileSize"),
            ({"limits": {"budget": {"daily_spend_limit": 0.001}}}, "limits.budget.dailySpendLimit"),
            (
                {"limits": {"budget": {"daily_spend_limit": 1, "alert_thresholds": [80, 50]}}},
                "limits.budget.alertThresholds",
            ),
            (
                {"limits": {"budget": {"daily_spend_limit": 1, "alert_thresholds": [150]}}},
                "limits.budget.alertThresholds",
            ),
            ({"scope": "user", "scope_id": "*", "limits": {"quotas": {"max_users": 1}}}, "limits.quotas.maxUsers"),
        ],
        ids=str,
    )
    async def test_a_bad_field_is_named(
        self, auth: AuthClient, owner: Person, fields: dict[str, Any], field: str
    ) -> None:
        refused = await refusal(create(auth, owner.token, **fields))
        assert (refused.code, refused.field) == (C.INVALID_ARGUMENT, field)
        assert await listed(auth, owner.token) == []

    async def test_there_are_so_many_policies_and_no_more(
        self, auth: AuthClient, owner: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(quota_policies, "MAX_POLICIES", 1)
        await create(auth, owner.token)
        refused = await refusal(create(auth, owner.token))
        assert (refused.code, refused.reason) == (C.FAILED_PRECONDITION, "TOO_MANY_POLICIES")


class TestReach:
    async def test_an_api_token_reaches_the_policies_of_its_project_alone(
        self, auth: AuthClient, owner: Person
    ) -> None:
        whole = await create(auth, owner.token)
        lab = await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        other = await create(auth, owner.token, scope="project", scope_id=lab.project.id)
        token = (await auth.api_token(owner.token)).token
        made = await create(auth, token)
        assert made.project_id == owner.project
        assert await listed(auth, token) == [made.id]
        assert await listed(auth, owner.token) == [made.id, other.id, whole.id]
        for hidden in (whole.id, other.id):
            for rpc, request in (
                (auth.quotas.GetQuotaPolicy, pb.GetQuotaPolicyRequest(id=hidden)),
                (auth.quotas.DeleteQuotaPolicy, pb.DeleteQuotaPolicyRequest(id=hidden)),
                (auth.quotas.UpdateQuotaPolicy, pb.UpdateQuotaPolicyRequest(id=hidden, enabled=False)),
                (auth.budgets.DeleteBudget, budgets.DeleteBudgetRequest(id=hidden)),
            ):
                assert (await refusal(auth.call(rpc, request, token))).code is C.NOT_FOUND
        for fields in ({"scope": "project", "scope_id": lab.project.id}, {"project_id": lab.project.id}):
            assert (await refusal(create(auth, token, **fields))).code is C.NOT_FOUND

    async def test_the_policies_of_a_project_end_with_it(self, auth: AuthClient, owner: Person) -> None:
        lab = await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        await create(auth, owner.token, scope="project", scope_id=lab.project.id)
        whole = await create(auth, owner.token)
        await auth.call(auth.projects.DeleteProject, projects.DeleteProjectRequest(id=lab.project.id), owner.token)
        assert await listed(auth, owner.token) == [whole.id]

    async def test_no_other_tenant_reaches_a_policy(self, auth: AuthClient, owner: Person) -> None:
        made = await create(auth, owner.token)
        other = await auth.register("other")
        assert await listed(auth, other.token) == []
        get = pb.GetQuotaPolicyRequest(id=made.id)
        assert (await refusal(auth.call(auth.quotas.GetQuotaPolicy, get, other.token))).code is C.NOT_FOUND

    async def test_users_read_and_do_not_write(self, auth: AuthClient, owner: Person) -> None:
        member = await auth.join(owner, "member@example.com")
        await create(auth, owner.token, scope="project")
        assert len(await listed(auth, member.token)) == 1
        assert (await refusal(create(auth, member.token))).code is C.PERMISSION_DENIED


class TestBudgets:
    async def test_life_of_a_budget(self, auth: AuthClient, owner: Person) -> None:
        made = await budget(auth, owner.token, alert_thresholds=[0.5, 0.8, 1], label="Team")
        assert (made.object, made.scope, made.domain, made.label) == ("budget", "tenant", "llm", "Team")
        assert (made.monthly_limit_usd, made.HasField("daily_limit_usd")) == (250, False)
        assert made.alert_thresholds == [0.5, 0.8, 1]
        change = budgets.UpdateBudgetRequest(id=made.id, daily_limit_usd=10.5, monthly_limit_usd=-1)
        changed = await auth.call(auth.budgets.UpdateBudget, change, owner.token)
        assert (changed.daily_limit_usd, changed.HasField("monthly_limit_usd")) == (10.5, False)
        await create(auth, owner.token)  # a policy that is no budget
        page = await auth.call(auth.budgets.ListBudgets, budgets.ListBudgetsRequest(), owner.token)
        assert (page.object, list(page.data)) == ("list", [changed])
        gone = await auth.call(auth.budgets.DeleteBudget, budgets.DeleteBudgetRequest(id=made.id), owner.token)
        assert (gone.deleted, gone.id) == (True, made.id)
        page = await auth.call(auth.budgets.ListBudgets, budgets.ListBudgetsRequest(), owner.token)
        assert list(page.data) == []

    async def test_deleting_a_budget_leaves_the_other_limits_of_its_policy(
        self, auth: AuthClient, owner: Person
    ) -> None:
        made = await create(auth, owner.token, limits={**PER_MINUTE, "budget": {"daily_spend_limit": 1}})
        await auth.call(auth.budgets.DeleteBudget, budgets.DeleteBudgetRequest(id=made.id), owner.token)
        got = await auth.call(auth.quotas.GetQuotaPolicy, pb.GetQuotaPolicyRequest(id=made.id), owner.token)
        assert got.policy.limits == pb.QuotaLimits(**PER_MINUTE)

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"monthly_limit_usd": -2}, "monthly_limit_usd"),
            ({"monthly_limit_usd": 0.001}, "monthly_limit_usd"),
            ({"monthly_limit_usd": 1e12}, "monthly_limit_usd"),
            ({"monthly_limit_usd": None}, "monthly_limit_usd"),
            ({"alert_thresholds": [0.8, 0.5]}, "alert_thresholds"),
            ({"alert_thresholds": [80]}, "alert_thresholds"),
            ({"alert_thresholds": [0.505]}, "alert_thresholds"),
            ({"scope": "user"}, "scope_id"),
            ({"domain": "music"}, "domain"),
        ],
        ids=str,
    )
    async def test_a_bad_field_is_named(
        self, auth: AuthClient, owner: Person, fields: dict[str, Any], field: str
    ) -> None:
        refused = await refusal(budget(auth, owner.token, **fields))
        assert (refused.code, refused.field) == (C.INVALID_ARGUMENT, field)


class TestPlans:
    async def test_the_default_plan_is_told(self, auth: AuthClient, owner: Person) -> None:
        answer = await auth.call(auth.quotas.GetQuotaDefaults, pb.GetQuotaDefaultsRequest(), owner.token)
        assert (answer.license_type, answer.defaults) == ("on_premise", pb.QuotaLimits())
        assert "VECTOR_STORE" in answer.plan.features

    async def test_limits_of_what_there_is_hold(self, auth: AuthClient, owner: Person) -> None:
        standing = {"max_projects": 1, "max_api_tokens": 1, "max_users": 1}
        await create(auth, owner.token, limits={"quotas": standing})
        await auth.api_token(owner.token)
        lab = projects.CreateProjectRequest(name="Lab")
        for call in (
            auth.call(auth.projects.CreateProject, lab, owner.token),
            auth.call(auth.tokens.CreateToken, tokens.CreateTokenRequest(label="another"), owner.token),
            auth.join(owner, "member@example.com"),
        ):
            refused = await refusal(call)
            assert (refused.code, refused.reason) == (C.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED")

    async def test_a_feature_that_the_plan_lacks_is_refused_and_in_the_token(
        self, auth: AuthClient, owner: Person
    ) -> None:
        """A plan's features were shown and never enforced in the system that this API comes from."""
        platform = auth.running.platform
        plans = platform.policies.plans
        lesser = type(plans.of(""))("lesser", "Lesser", frozenset({"FILES"}))
        plans._plans["lesser"] = lesser
        await platform.store.update(*_tenant("acme"), {"plan": "lesser"})
        platform.policies.forget(Tenant("acme"))
        refused = await refusal(create(auth, owner.token))
        assert (refused.code, refused.reason) == (C.PERMISSION_DENIED, "FEATURE_NOT_IN_PLAN")
        assert "QUOTA_MANAGEMENT" in refused.message
        fresh = await auth.login(owner.email)
        assert identity_of(auth, fresh).features == frozenset({"FILES"})
        assert identity_of(auth, owner.token).features is None


def _tenant(slug: str) -> tuple[Any, Any, str]:
    from core.storage.tenant_registry import TENANTS
    from core.tenancy import MAIN

    return MAIN, TENANTS, slug


async def test_an_operator_sets_the_plan_of_a_tenant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Run as the command line runs it, beside the service."""
    async with auth_service(tmp_path / "data") as auth:
        owner = await auth.register("acme")
        env = environment(tmp_path / "data")
        assert await _command("set-plan", ["acme", "Free"], env) == 0
        assert "free" in capsys.readouterr().out
        auth.running.platform.policies.forget(Tenant("acme"))
        answer = await auth.call(auth.quotas.GetQuotaDefaults, pb.GetQuotaDefaultsRequest(), owner.token)
        assert answer.license_type == "free"
        assert answer.defaults.quotas.max_projects == 2
        assert await _command("set-plan", ["acme", "gold"], env) == 1
        assert await _command("set-plan", ["nobody", "free"], env) == 1


async def _command(name: str, arguments: list[str], env: dict[str, str]) -> int | None:
    return await asyncio.to_thread(commands.run, "auth", COMMANDS, [name, *arguments], env)
