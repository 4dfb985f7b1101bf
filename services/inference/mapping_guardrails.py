"""Conversion between the messages of guardrails and PII policies and the domain's values: pure functions."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from google.protobuf.struct_pb2 import NULL_VALUE, Value

from core.errors import InvalidInput
from core.rpc.values import json_of, seconds_of, small_json_of, struct_of, timestamp_of
from portico.inference.v1 import guardrail_service_pb2 as pb
from portico.inference.v1 import pii_service_pb2 as pii_pb
from services.inference.domain.guardrails.evaluations import Statistics
from services.inference.domain.guardrails.evaluator import Evaluated, Moderated
from services.inference.domain.guardrails.findings import Finding, message_of
from services.inference.domain.guardrails.pii_policies import (
    BLOCK,
    NewPiiPolicy,
    PiiFinding,
    PiiPolicy,
    PiiPolicyChanges,
    PiiScan,
)
from services.inference.domain.guardrails.records import (
    Guardrail,
    GuardrailChanges,
    NewGuardrail,
    NewWordList,
    WordList,
    WordListChanges,
)
from services.inference.domain.guardrails.store import MAX_POLICY_BYTES


def guardrail_message(record: Guardrail) -> pb.Guardrail:
    return pb.Guardrail(
        id=record.id,
        record_id=record.id,
        key=record.key,
        name=record.name,
        description=record.description,
        type=record.type,
        target=record.target,
        action=record.action,
        enabled=record.enabled,
        fail_mode=record.fail_mode,
        model_key=record.model_key,
        custom_prompt=record.custom_prompt,
        policy=struct_of(_plain(msgspec.to_builtins(record.policy))),
        metadata=struct_of(record.metadata),
        created_at=timestamp_of(record.created_at),
        updated_at=timestamp_of(record.updated_at),
    )


def new_guardrail(request: pb.CreateGuardrailRequest) -> NewGuardrail:
    return NewGuardrail(
        name=request.name,
        type=request.type,
        key=request.key,
        description=request.description,
        target=request.target,
        action=request.action,
        enabled=request.enabled if request.HasField("enabled") else True,
        fail_mode=request.fail_mode,
        model_key=request.model_key,
        custom_prompt=request.custom_prompt,
        policy=small_json_of(request.policy, "policy", MAX_POLICY_BYTES),
        metadata=small_json_of(request.metadata, "metadata"),
    )


def guardrail_changes(request: pb.UpdateGuardrailRequest) -> GuardrailChanges:
    given: dict[str, Any] = {
        name: getattr(request, name)
        for name in ("name", "description", "target", "action", "enabled", "fail_mode", "model_key", "custom_prompt")
        if request.HasField(name)
    }
    if request.HasField("policy"):
        given["policy"] = small_json_of(request.policy, "policy", MAX_POLICY_BYTES)
    if request.HasField("metadata"):
        given["metadata"] = small_json_of(request.metadata, "metadata")
    return GuardrailChanges(**given)


def finding_message(finding: Finding) -> pb.GuardrailFinding:
    return pb.GuardrailFinding(
        type=finding.type,
        category=finding.category,
        severity=finding.severity,
        message=finding.message,
        action=finding.action,
        block=finding.block,
        value=finding.value or None,
    )


def evaluated_message(evaluated: Evaluated) -> pb.EvaluateGuardrailResponse:
    record = evaluated.guardrail
    return pb.EvaluateGuardrailResponse(
        passed=evaluated.passed,
        guardrail_key=record.key,
        guardrail_name=record.name,
        action=record.action,
        findings=map(finding_message, evaluated.findings),
        message=_text_or_null(message_of(evaluated.findings)),
        disabled=not record.enabled,
        redacted_text=_text_or_null(evaluated.redacted),
    )


def moderation_texts(given: Value) -> list[str]:
    """The texts of a moderation's input. Raises InvalidInput."""
    match given.WhichOneof("kind"):
        case "string_value":
            return [given.string_value]
        case "list_value":
            texts = [_moderation_text(each) for each in given.list_value.values]
            if texts:
                return texts
    raise InvalidInput("input must be a text, or a list of texts or text parts.", field="input")


def _moderation_text(given: Value) -> str:
    if given.WhichOneof("kind") == "string_value":
        return given.string_value
    part = given.struct_value.fields
    if part["type"].string_value == "text" and part["text"].WhichOneof("kind") == "string_value":
        return part["text"].string_value
    raise InvalidInput("input must hold texts, or parts of the type text.", field="input")


def moderated_message(moderated: Moderated) -> pb.ModerationResult:
    return pb.ModerationResult(
        flagged=bool(moderated.findings),
        categories=moderated.categories,
        category_scores=moderated.scores,
        findings=map(finding_message, moderated.findings),
    )


def evaluation_message(record: Mapping[str, Any]) -> pb.GuardrailEvaluation:
    findings = [
        pb.GuardrailFinding(**{name: value for name, value in each.items() if name != "value" or value})
        for each in record["findings"]
    ]
    return pb.GuardrailEvaluation(
        id=record["id"],
        created_at=timestamp_of(record["createdAt"]),
        guardrail_key=record["guardrailKey"],
        guardrail_name=record["guardrailName"],
        guardrail_type=record["guardrailType"],
        target=record["target"],
        action=record["action"],
        passed=record["passed"],
        findings=findings,
        latency_ms=record["latencyMs"],
        source=record["source"],
        request_id=record["requestId"],
        model=record["model"],
        message=record["message"],
        token_id=record["tokenId"],
        user_id=record["userId"],
    )


def statistics_message(statistics: Statistics) -> pb.GetGuardrailStatisticsResponse:
    count = statistics.evaluations
    return pb.GetGuardrailStatisticsResponse(
        evaluations=count,
        passed=statistics.passed,
        failed=count - statistics.passed,
        pass_rate=statistics.passed / count if count else 1.0,
        mean_latency_ms=statistics.mean_latency_ms,
        findings_by_category=statistics.findings,
        days=[
            pb.GuardrailDay(day=day, evaluations=each["evaluations"], passed=each["passed"])
            for day, each in sorted(statistics.days.items())
        ],
    )


def span_of(request: pb.GetGuardrailStatisticsRequest) -> tuple[float | None, float | None]:
    """The times from and to, in Unix seconds."""
    start = seconds_of(getattr(request, "from")) if request.HasField("from") else None
    return start, seconds_of(request.to) if request.HasField("to") else None


def word_list_message(record: WordList, *, with_words: bool) -> pb.WordList:
    return pb.WordList(
        id=record.id,
        record_id=record.id,
        key=record.key,
        name=record.name,
        description=record.description,
        language=record.language,
        words=record.words if with_words else (),
        word_count=len(record.words),
        created_at=timestamp_of(record.created_at),
        updated_at=timestamp_of(record.updated_at),
    )


def new_word_list(request: pb.CreateWordListRequest) -> NewWordList:
    return NewWordList(request.name, request.key, request.description, request.language, tuple(request.words))


def word_list_changes(request: pb.UpdateWordListRequest) -> WordListChanges:
    return WordListChanges(
        name=request.name if request.HasField("name") else None,
        description=request.description if request.HasField("description") else None,
        language=request.language if request.HasField("language") else None,
        words=tuple(request.words) or None,
    )


def uploaded_words(data: bytes) -> tuple[str, ...]:
    """The words of an uploaded file, one a line. Raises InvalidInput."""
    try:
        return tuple(data.decode("utf-8-sig").splitlines())
    except UnicodeDecodeError:
        raise InvalidInput("body must be text in UTF-8, one word a line.", field="body") from None


def policy_message(record: PiiPolicy) -> pii_pb.PiiPolicy:
    return pii_pb.PiiPolicy(
        id=record.id,
        record_id=record.id,
        key=record.key,
        name=record.name,
        description=record.description,
        default_action=record.default_action,
        categories=record.categories,
        custom_patterns=[
            pii_pb.PiiPattern(
                category_id=each.category_id, pattern=each.pattern, label=each.label, severity=each.severity
            )
            for each in record.custom_patterns
        ],
        languages=record.languages,
        enabled=record.enabled,
        metadata=struct_of(record.metadata),
        created_at=timestamp_of(record.created_at),
        updated_at=timestamp_of(record.updated_at),
    )


def new_policy(request: pii_pb.CreatePiiPolicyRequest) -> NewPiiPolicy:
    return NewPiiPolicy(
        name=request.name,
        key=request.key,
        description=request.description,
        default_action=request.default_action,
        categories=dict(request.categories),
        custom_patterns=_patterns(request.custom_patterns),
        languages=tuple(request.languages),
        enabled=request.enabled if request.HasField("enabled") else True,
        metadata=small_json_of(request.metadata, "metadata"),
    )


def policy_changes(request: pii_pb.UpdatePiiPolicyRequest) -> PiiPolicyChanges:
    patterns = _patterns(request.custom_patterns)
    return PiiPolicyChanges(
        name=request.name if request.HasField("name") else None,
        description=request.description if request.HasField("description") else None,
        default_action=request.default_action if request.HasField("default_action") else None,
        categories=dict(request.categories) or None,
        custom_patterns=patterns if patterns or request.clear_custom_patterns else None,
        languages=tuple(request.languages) or None,
        enabled=request.enabled if request.HasField("enabled") else None,
        metadata=small_json_of(request.metadata, "metadata") if request.HasField("metadata") else None,
    )


def _patterns(given: Iterable[pii_pb.PiiPattern]) -> list[dict[str, str]]:
    return [
        {
            "categoryId": each.category_id,
            "pattern": each.pattern,
            "label": each.label,
            **({"severity": each.severity} if each.severity else {}),
        }
        for each in given
    ]


def scan_message(scan: PiiScan) -> pii_pb.ScanPiiResponse:
    return pii_pb.ScanPiiResponse(
        policy_key=scan.policy.key,
        policy_name=scan.policy.name,
        action=scan.action,
        findings=map(_pii_finding_message, scan.findings),
        output_text=scan.output,
        input_length=scan.input_length,
        has_blocking=scan.action == BLOCK and bool(scan.findings),
        languages=scan.policy.languages,
        vault=None if scan.vault is None else struct_of({"sealed": scan.vault}),
    )


def vault_of(request: pii_pb.DetokenizePiiRequest) -> str:
    """The sealed vault of a request. Raises InvalidInput."""
    sealed = json_of(request.vault, "vault").get("sealed")
    if not isinstance(sealed, str):
        raise InvalidInput("vault must be the object that tokenize gave out.", reason="VAULT_INVALID", field="vault")
    return sealed


def _pii_finding_message(finding: PiiFinding) -> pii_pb.PiiFinding:
    return pii_pb.PiiFinding(
        category=finding.category,
        source="custom" if finding.custom else "builtin",
        severity=finding.severity,
        value=finding.value,
        start=finding.start,
        end=finding.end,
        label=finding.label,
        message=f"{finding.label} found.",
        action=finding.action,
        block=finding.action == BLOCK,
        replacement=finding.replacement,
    )


def _text_or_null(text: str | None) -> Value:
    return Value(null_value=NULL_VALUE) if text is None else Value(string_value=text)


def _plain(value: Any) -> Any:
    """Tuples as lists, which a Struct takes."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return list(value) if isinstance(value, tuple) else value
