"""Settings by which a dynamic model chooses the model that answers, and their checks."""

import re
from collections.abc import Iterator

import msgspec

from core import fields
from core.errors import InvalidInput
from services.inference.domain.guardrails.regexes import compile_pattern

RULE_BASED, MODEL_BASED = "rule-based", "model-based"
STRATEGIES = (RULE_BASED, MODEL_BASED)
ALL, ANY = "all", "any"
NUMBERS = ("inputTokensEst", "messageCount", "lastUserLength", "estimatedCostUsd")
FLAGS = ("hasTools", "hasResponseFormat", "hasImages")
KEYWORD = "keyword"
MATCHES = "matches"
OPERATORS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(NUMBERS, ("gt", "gte", "lt", "lte", "eq", "neq")),
    **dict.fromkeys(FLAGS, ("isTrue", "isFalse")),
    KEYWORD: ("contains", MATCHES, "eq", "neq"),
}
"""The operators of each signal."""
MAX_RULES = 50
MAX_CONDITIONS = 20
MAX_LABELS = 50
_MAX_VALUE = 1000
_LABEL = re.compile(r"[^\x00-\x1f\x7f]{1,100}")


class Condition(msgspec.Struct, frozen=True, rename="camel"):
    """`signal operator value`; the value is a number for number signals, a text for `keyword`, else nothing."""

    signal: str
    operator: str
    value: float | str | None = None


class Rule(msgspec.Struct, frozen=True, rename="camel"):
    """Chooses a model where all, or any, of the conditions hold."""

    label: str
    target_model_key: str
    match_type: str = ALL
    conditions: tuple[Condition, ...] = ()


class DeciderLabel(msgspec.Struct, frozen=True, rename="camel"):
    """A label that the decider may answer with."""

    label: str
    target_model_key: str
    description: str = ""


class Decider(msgspec.Struct, frozen=True, rename="camel"):
    """A chat model that is asked which label suits the request."""

    model_key: str
    labels: tuple[DeciderLabel, ...] = ()
    prompt_override: str = ""


class DynamicSettings(msgspec.Struct, frozen=True, rename="camel"):
    """Rules, or a decider; the default model where they choose none, the fallback where the chosen one fails."""

    default_model_key: str
    strategy: str = RULE_BASED
    fallback_model_key: str = ""
    rules: tuple[Rule, ...] = ()
    decider: Decider | None = None

    def model_keys(self) -> Iterator[tuple[str, str]]:
        """Every model that is named, with the field that names it."""
        path = "settings.dynamic"
        yield f"{path}.defaultModelKey", self.default_model_key
        if self.fallback_model_key:
            yield f"{path}.fallbackModelKey", self.fallback_model_key
        for at, rule in enumerate(self.rules):
            yield f"{path}.rules[{at}].targetModelKey", rule.target_model_key
        if self.decider is not None:
            yield f"{path}.decider.modelKey", self.decider.model_key
            for at, label in enumerate(self.decider.labels):
                yield f"{path}.decider.labels[{at}].targetModelKey", label.target_model_key


def checked(dynamic: DynamicSettings) -> DynamicSettings:
    """Raises InvalidInput. Whether the models exist is for `Models` to see."""
    path = "settings.dynamic"
    fields.one_of(f"{path}.strategy", dynamic.strategy, STRATEGIES)
    fields.count(f"{path}.rules", dynamic.rules, MAX_RULES)
    for at, rule in enumerate(dynamic.rules):
        _check_rule(f"{path}.rules[{at}]", rule)
    decider = dynamic.decider
    if (dynamic.strategy == MODEL_BASED) != (decider is not None):
        raise InvalidInput(
            f"{path}.decider must be given for the strategy {MODEL_BASED}, and only there.", field=f"{path}.decider"
        )
    if decider is not None:
        fields.count(f"{path}.decider.labels", decider.labels, MAX_LABELS)
        if not decider.labels:
            raise InvalidInput(f"{path}.decider.labels must hold a label.", field=f"{path}.decider.labels")
        for at, label in enumerate(decider.labels):
            where = f"{path}.decider.labels[{at}]"
            _check_label(f"{where}.label", label.label)
            fields.text(f"{where}.description", label.description, at_most=_MAX_VALUE)
        fields.text(f"{path}.decider.promptOverride", decider.prompt_override, at_most=20_000)
    return dynamic


def _check_rule(path: str, rule: Rule) -> None:
    _check_label(f"{path}.label", rule.label)
    fields.one_of(f"{path}.matchType", rule.match_type, (ALL, ANY))
    fields.count(f"{path}.conditions", rule.conditions, MAX_CONDITIONS)
    if not rule.conditions:
        raise InvalidInput(f"{path}.conditions must hold a condition.", field=f"{path}.conditions")
    for at, condition in enumerate(rule.conditions):
        _check_condition(f"{path}.conditions[{at}]", condition)


def _check_condition(path: str, condition: Condition) -> None:
    signal, value = condition.signal, condition.value
    fields.one_of(f"{path}.signal", signal, tuple(OPERATORS))
    fields.one_of(f"{path}.operator", condition.operator, OPERATORS[signal])
    if signal in NUMBERS and not isinstance(value, float | int):
        raise InvalidInput(f"{path}.value must be a number.", field=f"{path}.value")
    if signal == KEYWORD and not (isinstance(value, str) and 0 < len(value) <= _MAX_VALUE):
        raise InvalidInput(f"{path}.value must be a text of 1 to {_MAX_VALUE} characters.", field=f"{path}.value")
    if condition.operator == MATCHES and isinstance(value, str):
        compile_pattern(f"{path}.value", value)


def _check_label(path: str, label: str) -> None:
    if not _LABEL.fullmatch(label):
        raise InvalidInput(f"{path} must be 1 to 100 characters without control characters.", field=path)
