"""PII policies: what is looked for in texts, and what becomes of it."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal
from uuid import uuid4

import msgspec
import orjson

from core import fields
from core.audit import changes as audit
from core.errors import Conflict, FailedPrecondition, InvalidInput, NotFound
from core.offload import offload, offload_in_parts
from core.project_changes import ProjectChanges
from core.sealing import SealBroken, Sealer
from core.storage.keys import insert_with_key
from core.storage.ports import DocumentStore
from core.storage.references import Closable, delete_unreferenced
from core.storage.table import Table
from core.tenancy import Project
from services.inference.domain.guardrails.checks import Check, enabled
from services.inference.domain.guardrails.findings import MEDIUM, PII, REDACT, Match, mask
from services.inference.domain.guardrails.hold_back import HoldBack, redacted
from services.inference.domain.guardrails.pii import POLICY_CATEGORIES, POLICY_DEFAULTS, PiiCheck
from services.inference.domain.guardrails.regexes import MAX_PATTERNS, Pattern, RegexCheck, compile_pattern
from services.inference.domain.guardrails.tokens import Tokenizer, restore
from services.inference.domain.tables import MODELS, PII_POLICIES

DETECT, MASK, BLOCK, TOKENIZE = "detect", "mask", "block", "tokenize"
ACTIONS: Final = (DETECT, REDACT, MASK, BLOCK, TOKENIZE)
LANGUAGES: Final = ("global", "en", "tr", "de", "fr", "es", "it", "pt", "ar", "ja", "zh")
MAX_TEXT: Final = 1024 * 1024
"""Characters of one text."""
_VAULT = "pii-vault"
_LARGE = 4096


class CustomPattern(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A tenant's own category."""

    category_id: str
    pattern: str
    label: str = ""
    severity: Literal["low", "medium", "high"] = MEDIUM  # type: ignore[assignment]  # it is one of them


class PiiPolicy(Closable, frozen=True):
    """One record."""

    id: str
    key: str
    name: str
    description: str = ""
    default_action: str = DETECT
    categories: Mapping[str, bool] = {}
    custom_patterns: tuple[CustomPattern, ...] = ()
    languages: tuple[str, ...] = ("global",)
    enabled: bool = True
    metadata: Mapping[str, Any] = {}
    created_at: float = 0.0
    updated_at: float = 0.0


@dataclass(frozen=True, slots=True)
class NewPiiPolicy:
    """The values that a policy is made from. An empty key is made from the name, an empty action is detect."""

    name: str
    key: str = ""
    description: str = ""
    default_action: str = ""
    categories: Mapping[str, bool] = field(default_factory=dict)
    custom_patterns: Sequence[Mapping[str, Any]] = ()
    languages: Sequence[str] = ()
    enabled: bool = True
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PiiPolicyChanges:
    """Changes of a policy. None: unchanged."""

    name: str | None = None
    description: str | None = None
    default_action: str | None = None
    categories: Mapping[str, bool] | None = None
    custom_patterns: Sequence[Mapping[str, Any]] | None = None
    languages: Sequence[str] | None = None
    enabled: bool | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class PiiFinding:
    """One value in a text. `start` and `end` are characters of it."""

    category: str
    custom: bool
    severity: str
    value: str
    start: int
    end: int
    label: str
    action: str
    replacement: str


@dataclass(frozen=True, slots=True)
class PiiScan:
    """Findings in a text, and what became of it."""

    policy: PiiPolicy
    action: str
    findings: list[PiiFinding]
    output: str
    input_length: int
    vault: str | None = None
    """The sealed values, where they were tokenized."""


class PiiPolicies:
    """Use cases of policies. Each takes the project first; another project's records do not exist for it."""

    def __init__(self, store: DocumentStore, sealer: Sealer) -> None:
        self._store = store
        self._table = Table(store, PII_POLICIES, PiiPolicy)
        self._sealer = sealer
        self.changes = ProjectChanges()

    async def create(self, project: Project, new: NewPiiPolicy) -> PiiPolicy:
        """Create a policy. Raises Conflict (the key), InvalidInput."""
        checked = _checked({name: value for name, value in asdict(new).items() if name != "key"})
        now = time.time()
        record = PiiPolicy(id=f"pii_{uuid4().hex}", key="", created_at=now, updated_at=now, **checked)
        created = await insert_with_key(
            self._table,
            project,
            lambda key: msgspec.structs.replace(record, key=key),
            fields.key("key", new.key) if new.key else "",
            fields.slug(record.name, "policy"),
        )
        self.changes.publish(project)
        return created

    async def get(self, project: Project, key: str, *, field: str = "key") -> PiiPolicy:
        """The policy of this key. Raises NotFound."""
        record = await self.by_key(project, key)
        if record is None:
            raise NotFound("There is no such PII policy in this project.", reason="PII_POLICY_NOT_FOUND", field=field)
        return record

    async def by_key(self, project: Project, key: str) -> PiiPolicy | None:
        return await self._table.find_one(project, {"key": key}) if key else None

    async def check_open(self, project: Project, key: str, field: str) -> None:
        """Check that a record may refer to this policy. Raises NotFound."""
        if (await self.get(project, key, field=field)).closing:
            raise NotFound("The PII policy is being deleted.", reason="PII_POLICY_NOT_FOUND", field=field)

    async def list(self, project: Project, *, size: int = 0, token: str = "") -> tuple[list[PiiPolicy], str]:
        """One page, newest first, and the token of the next."""
        return await self._table.page(project, page_size=fields.page_size(size), page_token=token)

    async def update(self, project: Project, key: str, changes: PiiPolicyChanges) -> PiiPolicy:
        """Change a policy. Raises NotFound, Conflict, InvalidInput."""
        fresh = _checked({name: value for name, value in asdict(changes).items() if value is not None})
        old = await self.get(project, key)
        where = {"updatedAt": old.updated_at}
        updated = await self._table.update(project, old.id, where=where, **fresh, updated_at=time.time())
        if updated is None:
            raise Conflict("The policy is being changed by others. Try again.", reason="CHANGED_MEANWHILE")
        self.changes.publish(project)
        return updated

    async def delete(self, project: Project, key: str) -> None:
        """Delete a policy. Raises NotFound, FailedPrecondition where a model uses it."""
        record = await self.get(project, key)
        audit.change().resource_id = record.key
        used = await delete_unreferenced(
            self._table, project, record.id, lambda: self._store.count(project, MODELS, {"piiPolicyKey": record.key})
        )
        if used:
            raise FailedPrecondition(
                f"The PII policy is in use (by models: {used}). Take it off them first.",
                reason="PII_POLICY_IN_USE",
                field="key",
            )
        self.changes.publish(project)

    async def scan(self, project: Project, key: str, text: str, action: str = "") -> PiiScan:
        """Apply a policy to a text. An empty action is the policy's own. Raises NotFound, InvalidInput."""
        if len(text) > MAX_TEXT:
            raise InvalidInput(f"text must have at most {MAX_TEXT} characters.", field="text")
        if action:
            fields.one_of("action", action, ACTIONS)
        policy = await self.get(project, key, field="policy_key")
        applied = action or policy.default_action
        tokenizer = Tokenizer(text) if applied == TOKENIZE else None
        scan = await offload_in_parts(_scan(policy, text, applied, tokenizer), len(text), above=_LARGE)
        if tokenizer is None:
            return scan
        sealed = self._sealer.seal(project, _VAULT, orjson.dumps(tokenizer.values))
        return PiiScan(policy, applied, scan.findings, scan.output, scan.input_length, sealed)

    async def detokenize(self, project: Project, text: str, vault: str) -> str:
        """Put the values back. Raises InvalidInput for a vault that was not made for this project."""
        if len(text) > MAX_TEXT:
            raise InvalidInput(f"text must have at most {MAX_TEXT} characters.", field="text")
        try:
            values: dict[str, str] = orjson.loads(self._sealer.open(project, _VAULT, vault))
        except SealBroken:
            raise InvalidInput(
                "vault is not one that tokenize gave out in this project.", reason="VAULT_INVALID", field="vault"
            ) from None
        return await offload(lambda: restore(text, values), len(text))


def compile_policy(policy: PiiPolicy) -> list[Check]:
    """The checks of a policy."""
    ids = enabled(policy.categories, POLICY_DEFAULTS)
    checks: list[Check] = [PiiCheck([POLICY_CATEGORIES[id] for id in ids], REDACT)] if ids else []
    if policy.custom_patterns:
        patterns = [
            Pattern(
                each.category_id,
                each.severity,
                each.label or each.category_id,
                compile_pattern(f"customPatterns[{at}].pattern", each.pattern),
            )
            for at, each in enumerate(policy.custom_patterns)
        ]
        checks.append(RegexCheck(patterns, PII, REDACT))
    return checks


def replacement(action: str, tokenizer: Tokenizer | None) -> Callable[[Match, str], str]:
    """The text that an action puts in the place of a value."""
    if tokenizer is not None:
        return tokenizer.token
    return {DETECT: lambda match, value: value, MASK: lambda match, value: mask(value)}.get(action, redacted)


def _scan(policy: PiiPolicy, text: str, action: str, tokenizer: Tokenizer | None) -> Generator[int, None, PiiScan]:
    """Apply a policy to a text, chunk by chunk; yields the length of each."""
    if not policy.enabled:
        return PiiScan(policy, action, [], text, len(text))
    own = {each.category_id: each.label or each.category_id for each in policy.custom_patterns}
    replace = replacement(action, tokenizer)
    shown = replacement(REDACT, None) if action == DETECT else replace
    findings: list[PiiFinding] = []

    def take(match: Match, value: str) -> str:
        label = own.get(match.category) or POLICY_CATEGORIES[match.category].label
        findings.append(
            PiiFinding(
                match.category,
                match.category in own,
                match.severity,
                value,
                match.start,
                match.end,
                label,
                action,
                shown(match, value),
            )
        )
        return replace(match, value)

    held = HoldBack(compile_policy(policy), replace=take)
    output = yield from held.whole(text)
    return PiiScan(policy, action, findings, output, len(text))


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a record. Raises InvalidInput."""
    checks: dict[str, Callable[[Any], Any]] = {
        "name": lambda value: fields.text("name", value, at_least=1, at_most=200),
        "description": lambda value: fields.text("description", value, at_most=2000),
        "default_action": lambda value: fields.one_of("defaultAction", value or DETECT, ACTIONS),
        "categories": _checked_categories,
        "custom_patterns": _checked_patterns,
        "languages": _checked_languages,
        "enabled": bool,
        "metadata": lambda value: fields.small_json("metadata", value),
    }
    return {name: checks[name](value) for name, value in given.items()}


def _checked_categories(given: Mapping[str, bool]) -> dict[str, bool]:
    for id in given:
        if id not in POLICY_CATEGORIES:
            raise InvalidInput(f"categories knows {', '.join(POLICY_CATEGORIES)}, not {id[:64]}.", field="categories")
    return dict(given)


def _checked_languages(given: Sequence[str]) -> tuple[str, ...]:
    for each in given:
        fields.one_of("languages", each, LANGUAGES)
    return tuple(dict.fromkeys(given)) or ("global",)


def _checked_patterns(given: Sequence[Mapping[str, Any]]) -> tuple[CustomPattern, ...]:
    fields.count("customPatterns", given, MAX_PATTERNS)
    found = []
    for at, each in enumerate(given):
        place = f"customPatterns[{at}]"
        try:
            pattern = msgspec.convert(dict(each), CustomPattern)
        except msgspec.ValidationError as error:
            raise InvalidInput(f"{place} is not valid: {error}.", field=place) from None
        fields.text(f"{place}.categoryId", pattern.category_id, at_least=1, at_most=64)
        fields.text(f"{place}.label", pattern.label, at_most=200)
        if pattern.category_id in POLICY_CATEGORIES:
            raise InvalidInput(f"{place}.categoryId is that of a built-in category.", field=f"{place}.categoryId")
        compile_pattern(f"{place}.pattern", pattern.pattern)
        found.append(pattern)
    return tuple(found)
