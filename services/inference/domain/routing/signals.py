"""Signals of a chat request, and the rules over them by which a dynamic model chooses."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from services.inference.domain.catalogue.dynamic_settings import ANY, FLAGS, KEYWORD, MATCHES, Condition, Rule
from services.inference.domain.catalogue.prices import Pricing
from services.inference.domain.guardrails.regexes import compile_pattern
from services.inference.domain.usage import tokens

MAX_KEYWORD_CHARACTERS = 100_000
"""Characters of the last user message that keywords are looked for in."""
_IMAGES = frozenset({"image_url", "input_image", "image"})
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
    "neq": operator.ne,
}


def signals_of(request: Mapping[str, Any], pricing: Pricing) -> dict[str, Any]:
    """The signals of a request, by name. `pricing` is for the estimate of its cost."""
    messages = request["messages"]
    text = last_user_text(messages)
    read = tokens.estimate(tokens.request_characters(request))
    most = request.get("max_completion_tokens") or request.get("max_tokens")
    written = most if type(most) is int and most > 0 else 0
    form = request.get("response_format")
    return {
        "inputTokensEst": read,
        "messageCount": len(messages),
        "lastUserLength": len(text),
        "estimatedCostUsd": (read * pricing.input + written * pricing.output) / 1_000_000,
        "hasTools": bool(request.get("tools") or request.get("functions")),
        "hasResponseFormat": isinstance(form, dict) and form.get("type") not in (None, "text"),
        "hasImages": any(_has_image(message.get("content")) for message in messages),
        KEYWORD: text[:MAX_KEYWORD_CHARACTERS].casefold().encode(errors="replace").decode(),
    }


def last_user_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """The text of the last user message; its parts are joined by line ends."""
    content = next((each.get("content") for each in reversed(messages) if each.get("role") == "user"), None)
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "\n".join(text for part in parts if isinstance(part, dict) and isinstance(text := part.get("text"), str))


def first_match(rules: Iterable[Rule], signals: Mapping[str, Any]) -> Rule | None:
    """The first rule that holds."""
    return next((rule for rule in rules if _holds(rule, signals)), None)


def _holds(rule: Rule, signals: Mapping[str, Any]) -> bool:
    held = (_is_met(condition, signals) for condition in rule.conditions)
    return any(held) if rule.match_type == ANY else all(held)


def _is_met(condition: Condition, signals: Mapping[str, Any]) -> bool:
    found = signals[condition.signal]
    if condition.signal in FLAGS:
        return bool(found) == (condition.operator == "isTrue")
    wanted = condition.value
    if condition.operator == MATCHES:
        return _pattern(str(wanted)).search(found) is not None
    if isinstance(wanted, str):
        wanted = wanted.casefold()
        if condition.operator == "contains":
            return any(word in found for each in wanted.split(",") if (word := each.strip()))
    return _COMPARE[condition.operator](found, wanted)


@lru_cache(maxsize=1024)
def _pattern(text: str) -> Any:
    """The compiled pattern, which was checked when the rule was stored."""
    return compile_pattern("value", text)


def _has_image(content: object) -> bool:
    parts = content if isinstance(content, list) else ()
    return any(isinstance(part, dict) and part.get("type") in _IMAGES for part in parts)
