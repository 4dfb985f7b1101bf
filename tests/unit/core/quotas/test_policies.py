"""Resolution of quota policies: which limits hold for which call."""

from dataclasses import replace
from typing import Any

import pytest

from core.errors import InvalidInput
from core.quotas.limits import COUNTED, checked_limits, percents_of
from core.quotas.plans import BUILT_IN, FEATURES, Plan, Plans, PlanSettings
from core.quotas.policies import QuotaPolicy, in_order, rules_for
from core.quotas.rules import Dimension, Rule, Subject, Window
from core.tenancy import Project, Tenant

ACME = Project(Tenant("acme"), "p1")
CALL = Subject(ACME, "llm", user="u1", token="t1", model="gpt", provider="openai")
NO_PLAN = Plan("none", "None")
PER_MINUTE, PER_DAY = "rateLimit.requests.perMinute", "rateLimit.requests.perDay"
numbers = iter(range(1, 1000))


def policy(limits: dict[str, int], scope: str = "tenant", scope_id: str = "", **values: Any) -> QuotaPolicy:
    number = next(numbers)
    domain = values.pop("domain", "llm")
    return QuotaPolicy(f"q{number}", number, number, scope, domain, scope_id, limits=limits, **values)


def rules(*policies: QuotaPolicy, call: Subject = CALL, plan: Plan = NO_PLAN) -> tuple[Rule, ...]:
    return rules_for(in_order(policies), plan, call)


def limits(*policies: QuotaPolicy, call: Subject = CALL) -> list[tuple[str, str, int]]:
    return sorted((rule.scope, rule.window.value, rule.limit) for rule in rules(*policies, call=call))


class TestOverrides:
    def test_a_higher_priority_overrides_field_by_field(self) -> None:
        low = policy({PER_MINUTE: 10, PER_DAY: 100}, priority=1)
        high = policy({PER_MINUTE: 20}, priority=2)
        assert limits(high, low) == [("tenant", "day", 100), ("tenant", "minute", 20)]

    def test_unlimited_lifts_a_lower_limit(self) -> None:
        assert limits(policy({PER_MINUTE: 10}), policy({PER_MINUTE: -1}, priority=1)) == []

    def test_of_equal_priorities_the_newer_one_holds(self) -> None:
        assert limits(policy({PER_MINUTE: 10}), policy({PER_MINUTE: 5})) == [("tenant", "minute", 5)]

    def test_different_scopes_all_hold(self) -> None:
        """Limits of one scope replaced those of all others in the system that this API comes from."""
        given = (
            policy({PER_MINUTE: 1}),
            policy({PER_MINUTE: 2}, "project", "p1", project_id="p1"),
            policy({PER_MINUTE: 3}, "user", "u1"),
            policy({PER_MINUTE: 4}, "token", "t1"),
            policy({PER_MINUTE: 5}, "resource", "gpt", project_id="p1"),
            policy({PER_MINUTE: 6}, "provider", "openai", project_id="p1"),
        )
        assert limits(*given) == [
            ("model", "minute", 5),
            ("project", "minute", 2),
            ("provider", "minute", 6),
            ("tenant", "minute", 1),
            ("token", "minute", 4),
            ("user", "minute", 3),
        ]

    def test_a_policy_of_one_overrides_that_of_each(self) -> None:
        each = policy({PER_MINUTE: 10}, "token", "*")
        own = policy({PER_MINUTE: 99}, "token", "t1")
        assert limits(own, each) == [("token", "minute", 99)]
        assert limits(own, each, call=CALL._replace(token="t2")) == [("token", "minute", 10)]

    def test_the_limits_of_a_domain_and_of_all_both_hold(self) -> None:
        found = rules(policy({PER_MINUTE: 10}), policy({PER_MINUTE: 20}, domain="global"))
        assert {(rule.domain, rule.limit) for rule in found} == {("llm", 10), ("global", 20)}
        assert len({rule.key for rule in found}) == 2


class TestWhatHolds:
    @pytest.mark.parametrize(
        "other",
        [
            policy({PER_MINUTE: 1}, enabled=False),
            policy({PER_MINUTE: 1}, domain="vector"),
            policy({PER_MINUTE: 1}, project_id="p2"),
            policy({PER_MINUTE: 1}, "project", "p2", project_id="p2"),
            policy({PER_MINUTE: 1}, "user", "u2"),
            policy({PER_MINUTE: 1}, "token", "t2"),
            policy({PER_MINUTE: 1}, "resource", "gpt", project_id="p2"),
        ],
        ids=lambda each: f"{each.scope} {each.scope_id} {each.domain}",
    )
    def test_what_is_for_other_calls_does_not(self, other: QuotaPolicy) -> None:
        assert rules(other) == ()

    def test_each_of_what_a_call_does_not_have_does_not_hold(self) -> None:
        assert rules(policy({PER_MINUTE: 1}, "resource", "*"), call=CALL._replace(model="")) == ()

    def test_a_tenants_limit_has_one_counter_whoever_calls(self) -> None:
        """The key of a tenant's counter held the user and the model, so that its limit was one of each user."""
        given = policy({PER_MINUTE: 1})
        (here,) = rules(given)
        (there,) = rules(given, call=Subject(Project(ACME.tenant, "p2"), "llm", "u2", "t2", "other", "elsewhere"))
        assert here.key == there.key

    def test_a_tenants_limit_within_a_project_counts_that_project_alone(self) -> None:
        (within,) = rules(policy({PER_MINUTE: 1}, project_id="p1"))
        (whole,) = rules(policy({PER_MINUTE: 1}))
        assert within.key != whole.key

    def test_each_project_has_a_counter_of_its_own(self) -> None:
        given = policy({PER_MINUTE: 1}, "project", "*")
        (here,) = rules(given)
        (there,) = rules(given, call=CALL._replace(project=Project(ACME.tenant, "p2")))
        assert here.key != there.key


class TestRules:
    def test_budgets_are_billionths_and_carry_the_thresholds(self) -> None:
        given = policy({"budget.monthlySpendLimit": 1250, PER_MINUTE: 5}, thresholds=(50, 80), label="Team")
        spend, requests = sorted(rules(given), key=lambda rule: rule.dimension, reverse=True)
        assert (spend.dimension, spend.window, spend.limit) == (Dimension.SPEND, Window.MONTH, 12_500_000_000)
        assert (spend.thresholds, spend.label, spend.policy) == ((50, 80), "Team", given.id)
        assert requests.thresholds == ()

    def test_every_limit_makes_a_rule(self) -> None:
        assert len(rules(policy(dict.fromkeys(COUNTED, 1)))) == len(COUNTED)

    def test_a_policy_cannot_lift_the_limit_of_the_plan(self) -> None:
        plan = Plan("small", "Small", limits={PER_MINUTE: 3})
        found = rules(policy({PER_MINUTE: -1}, domain="global", priority=1000), plan=plan)
        assert [(rule.scope, rule.domain, rule.limit) for rule in found] == [("plan", "global", 3)]


class TestLimits:
    def test_amounts_of_money_are_whole_cents(self) -> None:
        assert checked_limits({"budget.dailySpendLimit": 12.34}) == {"budget.dailySpendLimit": 1234}
        with pytest.raises(InvalidInput, match="cents") as refused:
            checked_limits({"budget.dailySpendLimit": 0.005})
        assert refused.value.field == "limits.budget.dailySpendLimit"

    @pytest.mark.parametrize("value", [-2, 1.5, 1e16, float("nan"), float("inf")])
    def test_other_limits_are_whole_numbers(self, value: float) -> None:
        with pytest.raises(InvalidInput) as refused:
            checked_limits({PER_MINUTE: value})
        assert refused.value.field == f"limits.{PER_MINUTE}"

    def test_an_unknown_limit_is_refused(self) -> None:
        with pytest.raises(InvalidInput):
            checked_limits({"rateLimit.requests.perYear": 1})

    @pytest.mark.parametrize("given", [[0], [101], [50.5], [80, 50], [50, 50], list(range(1, 12)), [float("nan")]])
    def test_thresholds_are_ascending_percents(self, given: list[float]) -> None:
        with pytest.raises(InvalidInput):
            percents_of(given, "alertThresholds")
        assert percents_of([50, 80, 100], "alertThresholds") == (50, 80, 100)


class TestPlans:
    def test_the_default_plan_has_everything_and_no_limits(self) -> None:
        plan = Plans.built_in().of("")
        assert all(map(plan.has, FEATURES))
        assert plan.limits == {}

    def test_every_built_in_plan_has_every_feature(self) -> None:
        assert all(plan.features is None for plan in BUILT_IN)

    def test_an_unknown_plan_is_the_default_one(self) -> None:
        assert Plans.built_in().of("gone") is Plans.built_in().of("")

    def test_operators_define_plans_of_their_own(self, tmp_path: Any) -> None:
        file = tmp_path / "plans.json"
        file.write_text(
            '{"team": {"label": "Team", "features": ["LLM_CHAT"], "limits": {"quotas": {"maxProjects": 3},'
            ' "budget": {"monthlySpendLimit": 250}}}}'
        )
        plan = PlanSettings(default="Team", file=file).plans().of("")
        assert plan.features == frozenset({"LLM_CHAT"})
        assert plan.limits == {"quotas.maxProjects": 3, "budget.monthlySpendLimit": 25_000}

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[]",
            '{"a": {"features": ["NONE"]}}',
            '{"a": {"limits": {"quotas": {"maxProjects": -3}}}}',
            '{"a": {"limits": {"quotas": {"maxProjects": "3"}}}}',
            '{"a": {"limits": {"other": 1}}}',
            '{"a": {"other": 1}}',
        ],
    )
    def test_a_file_that_cannot_be_used_is_refused_at_the_start(self, text: str, tmp_path: Any) -> None:
        file = tmp_path / "plans.json"
        file.write_text(text)
        with pytest.raises(ValueError, match=r"plan|number"):
            PlanSettings(default="on_premise", file=file)


def test_a_rule_is_equal_to_itself_after_a_new_resolution() -> None:
    (rule,) = rules(policy({PER_MINUTE: 1}))
    assert replace(rule) == rule
