"""The settings of routing and dynamic models, and decisions of usage records, between contract and domain."""

from collections.abc import Mapping
from typing import Any

from core import fields
from portico.inference.v1 import model_service_pb2 as pb
from portico.inference.v1 import usage_service_pb2 as usage_pb
from services.inference.domain.catalogue.dynamic_settings import (
    ALL,
    MAX_CONDITIONS,
    MAX_LABELS,
    MAX_RULES,
    RULE_BASED,
    Condition,
    Decider,
    DeciderLabel,
    DynamicSettings,
    Rule,
)
from services.inference.domain.catalogue.routing_settings import (
    MAX_TARGETS,
    WEIGHTED,
    RoutingSettings,
    ShadowSettings,
    TargetSettings,
)


def routing(message: pb.ModelRouting) -> RoutingSettings:
    fields.count("settings.routing.targets", message.targets, MAX_TARGETS)
    shadow = message.shadow
    return RoutingSettings(
        policy=message.policy or WEIGHTED,
        weight=message.weight if message.HasField("weight") else 1.0,
        priority=message.priority,
        first_token_timeout=message.first_token_timeout_seconds,
        targets=tuple(
            TargetSettings(
                provider_key=each.provider_key,
                model_id=each.model_id,
                weight=each.weight if each.HasField("weight") else 1.0,
                priority=each.priority,
                timeout=each.timeout_seconds,
                first_token_timeout=each.first_token_timeout_seconds,
            )
            for each in message.targets
        ),
        shadow=ShadowSettings(shadow.provider_key, shadow.model_id, shadow.percent or 100.0)
        if message.HasField("shadow")
        else None,
    )


def routing_message(settings: RoutingSettings) -> pb.ModelRouting:
    shadow = settings.shadow
    return pb.ModelRouting(
        policy=settings.policy,
        weight=settings.weight,
        priority=settings.priority,
        first_token_timeout_seconds=settings.first_token_timeout,
        targets=[
            pb.ModelTarget(
                provider_key=each.provider_key,
                model_id=each.model_id,
                weight=each.weight,
                priority=each.priority,
                timeout_seconds=each.timeout,
                first_token_timeout_seconds=each.first_token_timeout,
            )
            for each in settings.targets
        ],
        shadow=None
        if shadow is None
        else pb.ModelShadow(provider_key=shadow.provider_key, model_id=shadow.model_id, percent=shadow.percent),
    )


def dynamic(message: pb.DynamicRouting) -> DynamicSettings:
    fields.count("settings.dynamic.rules", message.rules, MAX_RULES)
    return DynamicSettings(
        default_model_key=message.default_model_key,
        strategy=message.strategy or RULE_BASED,
        fallback_model_key=message.fallback_model_key,
        rules=tuple(_rule(at, each) for at, each in enumerate(message.rules)),
        decider=_decider(message.decider) if message.HasField("decider") else None,
    )


def dynamic_message(settings: DynamicSettings) -> pb.DynamicRouting:
    decider = settings.decider
    return pb.DynamicRouting(
        strategy=settings.strategy,
        default_model_key=settings.default_model_key,
        fallback_model_key=settings.fallback_model_key,
        rules=[_rule_message(each) for each in settings.rules],
        decider=None if decider is None else _decider_message(decider),
    )


def decision_message(decision: Mapping[str, Any]) -> usage_pb.RouteDecision:
    return usage_pb.RouteDecision(
        policy=decision["policy"],
        reason=decision["reason"],
        dynamic=[
            usage_pb.DynamicDecision(
                router_key=each["routerKey"],
                decision=each["decision"],
                chosen_model_key=each["chosenModelKey"],
                label=each["label"],
                decider_latency_ms=each["deciderLatencyMs"],
            )
            for each in decision["dynamic"]
        ],
    )


def _rule(at: int, message: pb.DynamicRule) -> Rule:
    fields.count(f"settings.dynamic.rules[{at}].conditions", message.conditions, MAX_CONDITIONS)
    conditions = tuple(Condition(each.signal, each.operator, _value(each)) for each in message.conditions)
    return Rule(message.label, message.target_model_key, message.match_type or ALL, conditions)


def _value(message: pb.DynamicCondition) -> float | str | None:
    match message.value.WhichOneof("kind"):
        case "number_value":
            return message.value.number_value
        case "string_value":
            return message.value.string_value
        case _:
            return None


def _rule_message(rule: Rule) -> pb.DynamicRule:
    message = pb.DynamicRule(label=rule.label, match_type=rule.match_type, target_model_key=rule.target_model_key)
    for each in rule.conditions:
        condition = message.conditions.add(signal=each.signal, operator=each.operator)
        if isinstance(each.value, str):
            condition.value.string_value = each.value
        elif each.value is not None:
            condition.value.number_value = each.value
    return message


def _decider(message: pb.DynamicDecider) -> Decider:
    fields.count("settings.dynamic.decider.labels", message.labels, MAX_LABELS)
    labels = tuple(DeciderLabel(each.label, each.target_model_key, each.description) for each in message.labels)
    return Decider(message.model_key, labels, message.prompt_override)


def _decider_message(decider: Decider) -> pb.DynamicDecider:
    return pb.DynamicDecider(
        model_key=decider.model_key,
        labels=[
            pb.DynamicLabel(label=each.label, description=each.description, target_model_key=each.target_model_key)
            for each in decider.labels
        ],
        prompt_override=decider.prompt_override,
    )
