"""Compiled guardrails and PII policies, from the stores of a project."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from core.errors import FailedPrecondition, NotFound
from core.tenancy import Project
from services.inference.domain.guardrails.checks import Check
from services.inference.domain.guardrails.compiled import CompiledRecords, Source, Version
from services.inference.domain.guardrails.guards import Guard, compile_guard
from services.inference.domain.guardrails.pii_policies import PiiPolicies, PiiPolicy, compile_policy
from services.inference.domain.guardrails.store import Guardrails
from services.inference.domain.guardrails.word_lists_store import WordLists


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """A PII policy, ready for use."""

    record: PiiPolicy
    checks: Sequence[Check]


class _GuardVersion(NamedTuple):
    """The version of a guard: of its record, and of each of its word lists; None: there is no such list."""

    record: tuple[str, float]
    lists: tuple[tuple[str, float | None], ...]


def guards(guardrails: Guardrails, word_lists: WordLists) -> CompiledRecords[Guard]:
    """The guards of guardrails. Finding one raises FailedPrecondition where there is none: nothing passes unchecked."""

    async def read(project: Project, key: str, known: Version | None) -> Source[Guard] | None:
        record = await guardrails.by_key(project, key)
        if record is None:
            raise FailedPrecondition(
                f"The guardrail {key} of this model does not exist any more.", reason="GUARDRAIL_MISSING", field="model"
            )
        own = (record.id, record.updated_at)
        if (
            isinstance(known, _GuardVersion)
            and known.record == own
            and await word_lists.unchanged(project, known.lists)
        ):
            return None
        lists = {}
        for each in record.word_lists:
            try:
                lists[each] = await word_lists.get(project, each)
            except NotFound:  # removed with the project, or by hand
                continue

        async def words_of(list_key: str) -> Sequence[str]:
            return lists[list_key].words if list_key in lists else ()

        times = tuple((each, lists[each].updated_at if each in lists else None) for each in record.word_lists)
        version = _GuardVersion(own, times)
        return Source(version, lambda: compile_guard(record, words_of))

    records = CompiledRecords(read)
    for changes in (guardrails.changes, word_lists.changes):
        changes.subscribe(records.forget)
    return records


def policies(pii_policies: PiiPolicies) -> CompiledRecords[CompiledPolicy]:
    """Compiled PII policies. Finding one raises FailedPrecondition where there is none."""

    async def read(project: Project, key: str, known: Version | None) -> Source[CompiledPolicy]:
        record = await pii_policies.by_key(project, key)
        if record is None:
            raise FailedPrecondition(
                f"The PII policy {key} of this model does not exist any more.",
                reason="PII_POLICY_MISSING",
                field="model",
            )

        async def compiled() -> CompiledPolicy:
            return CompiledPolicy(record, compile_policy(record))

        return Source((record.id, record.updated_at), compiled)

    records = CompiledRecords(read)
    pii_policies.changes.subscribe(records.forget)
    return records
