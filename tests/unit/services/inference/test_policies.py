"""The order in which targets are tried."""

from collections import Counter
from typing import cast

import pytest

from core.http.ports import Timeouts
from services.inference.domain.catalogue.prices import Pricing
from services.inference.domain.catalogue.routing_settings import LEAST_BUSY, LOWEST_LATENCY, WEIGHTED
from services.inference.domain.codecs.codec import Codec
from services.inference.domain.routing.policies import LATENCY_SECONDS, measured, ordered
from services.inference.domain.routing.targets import Target
from services.inference.ports import Client


async def no_client() -> Client:
    raise NotImplementedError


def target(name: str, weight: float = 1.0, priority: int = 0) -> Target:
    return Target(
        model_key="m", model_id=name, defaults=(), extra={}, unsupported=(), whole_with_tools=False, scrub=str,
        provider_key=name, codec=cast(Codec, None), breaker=("t", "p", name, name), client_key=("t", "p", name, 0.0),
        make_client=no_client, path=b"/", timeouts=Timeouts(), pricing=Pricing(), weight=weight, priority=priority,
    )  # fmt: skip


def names(targets: list[Target]) -> list[str]:
    return [each.provider_key for each in targets]


@pytest.mark.parametrize("weights", [(1, 1), (9, 1), (70, 20, 10), (5, 3, 2, 0.5), (97, 3)])
def test_weights_are_met_over_ten_thousand_picks(weights: tuple[float, ...]) -> None:
    targets = [target(str(at), weight) for at, weight in enumerate(weights)]
    picks = Counter(ordered(targets, WEIGHTED, 0.0)[0].provider_key for _ in range(10_000))
    for at, weight in enumerate(weights):
        assert picks[str(at)] == pytest.approx(10_000 * weight / sum(weights), rel=0.03)


def test_weights_hold_among_those_that_are_left() -> None:
    targets = [target("a", 2), target("b", 1), target("c", 1)]
    targets[0].cool_until = 100.0
    picks = Counter(ordered(targets, WEIGHTED, 0.0)[0].provider_key for _ in range(1000))
    assert picks == {"b": 500, "c": 500}


def test_other_priorities_and_weight_zero_come_after() -> None:
    targets = [target("late", 5, priority=1), target("none", 0), target("small", 1), target("large", 3)]
    assert names(ordered(targets, WEIGHTED, 0.0)) == ["large", "small", "none", "late"]


def test_what_cools_down_is_tried_last_and_the_soonest_first() -> None:
    targets = [target("a"), target("b"), target("c", priority=1)]
    targets[0].cool_until, targets[1].cool_until = 9.0, 5.0
    assert names(ordered(targets, WEIGHTED, 0.0)) == ["c", "b", "a"]
    assert names(ordered(targets, WEIGHTED, 6.0)) == ["b", "c", "a"]


def test_the_least_busy_is_chosen_by_its_weight() -> None:
    targets = [target("a", 1), target("b", 4)]
    targets[0].in_progress, targets[1].in_progress = 1, 3
    assert names(ordered(targets, LEAST_BUSY, 0.0)) == ["b", "a"]
    targets[1].in_progress = 5
    assert names(ordered(targets, LEAST_BUSY, 0.0)) == ["a", "b"]


def test_equally_busy_targets_take_turns() -> None:
    targets = [target("a"), target("b")]
    picks = Counter(ordered(targets, LEAST_BUSY, 0.0)[0].provider_key for _ in range(100))
    assert picks == {"a": 50, "b": 50}


def test_the_fastest_is_chosen_and_the_others_are_measured_anew() -> None:
    targets = [target("slow"), target("fast")]
    assert names(ordered(targets, LOWEST_LATENCY, 0.0)) == ["slow", "fast"]  # not measured yet
    targets[0].in_progress = 1
    assert names(ordered(targets, LOWEST_LATENCY, 0.0)) == ["fast", "slow"]
    targets[0].in_progress = 0
    measured(targets[0], 2.0, 0.0)
    measured(targets[1], 0.5, 0.0)
    assert names(ordered(targets, LOWEST_LATENCY, 1.0)) == ["fast", "slow"]
    measured(targets[1], 0.5, LATENCY_SECONDS + 1)
    assert names(ordered(targets, LOWEST_LATENCY, LATENCY_SECONDS + 1)) == ["slow", "fast"]


def test_one_slow_answer_does_not_turn_the_order() -> None:
    fast = target("fast")
    measured(fast, 1.0, 0.0)
    measured(fast, 2.0, 1.0)
    assert fast.latency == pytest.approx(1.3)
