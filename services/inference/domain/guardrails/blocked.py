"""Report of findings to callers: the error where something blocks, and the note where it does not."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from core.errors import ContentBlocked
from services.inference.domain.guardrails.findings import Finding, message_of
from services.inference.domain.guardrails.records import Guardrail

_MAX_SHOWN = 20
"""Findings in an error or a note."""


def shown(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as JSON."""
    return [{**msgspec.to_builtins(each), "block": each.block} for each in findings[:_MAX_SHOWN]]


def blocked(guardrail: Guardrail, findings: Sequence[Finding]) -> ContentBlocked:
    """The error where a guardrail does not let a text pass."""
    return ContentBlocked(
        message_of(findings) or "Content blocked by guardrail.",
        details={
            "guardrail_key": guardrail.key,
            "action": guardrail.action,
            "findings": shown([each for each in findings if each.block]),
        },
    )


def noted(
    chunks: Sequence[dict[str, Any]], target: str, guardrail: Guardrail, findings: Sequence[Finding]
) -> list[dict[str, Any]]:
    """Chunks with what a guardrail found and let pass: in a whole answer, and where a choice of a stream ends."""
    return [_noted(each, target, guardrail, findings) if _ends_a_choice(each) else each for each in chunks]


def _noted(chunk: Mapping[str, Any], target: str, guardrail: Guardrail, findings: Sequence[Finding]) -> dict[str, Any]:
    found = {target: {"guardrail_key": guardrail.key, "findings": shown(findings)}}
    return {**chunk, "guardrails": {**chunk.get("guardrails", {}), **found}}


def _ends_a_choice(chunk: Mapping[str, Any]) -> bool:
    return any("message" in each or each.get("finish_reason") for each in chunk.get("choices") or ())
