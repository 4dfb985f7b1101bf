"""Checks of what callers say about memories and stores. All raise InvalidInput, naming the field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from core import fields
from core.errors import InvalidInput
from services.rag.domain.memory.records import ACTIVE, ARCHIVED, GLOBAL, SCOPES, SOURCES, MemoryStore, Ranking

MAX_CONTENT = 32_000
"""Characters of a memory, and of a query."""
MAX_SCOPE_ID = 200
MAX_TAGS = 32
MAX_TAG = 64
MAX_BATCH = 100
MAX_TOP_K = 100
MAX_TOKENS = 100_000
MAX_MEMORIES = 1_000_000
MAX_SKIP = 100_000
MAX_MESSAGES = 100
MAX_CONVERSATION = 100_000
"""Characters of a conversation in all."""
MAX_TTL_DAYS = 36_500.0
MAX_HALF_LIFE_HOURS = 87_600.0
DEFAULT_IMPORTANCE = 0.5
LISTED = (ACTIVE, ARCHIVED, "expired", "all")


@dataclass(frozen=True, slots=True)
class NewMemory:
    """The values that a memory is made from, as the caller gave them."""

    content: str
    scope: str = ""
    scope_id: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: Sequence[str] = ()
    source: str = ""
    importance: float | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of memories, which must meet all that is given. Any of the tags will do."""

    scope: str = ""
    scope_id: str = ""
    tags: Sequence[str] = ()
    status: str = ""
    search: str = ""
    before: float | None = None


def check_new(new: NewMemory, store: MemoryStore, prefix: str = "") -> NewMemory:
    """The memory with the store's defaults. `prefix` stands before the names of its fields."""
    content = check_content(f"{prefix}content", new.content)
    scope = fields.one_of(f"{prefix}scope", new.scope or store.config.default_scope, SCOPES)
    return NewMemory(
        content,
        scope,
        check_scope_id(f"{prefix}scopeId", scope, new.scope_id),
        fields.small_json(f"{prefix}metadata", new.metadata),
        check_tags(f"{prefix}tags", new.tags),
        fields.one_of(f"{prefix}source", new.source or "api", SOURCES),
        DEFAULT_IMPORTANCE if new.importance is None else share(f"{prefix}importance", new.importance),
    )


def check_content(field: str, content: str) -> str:
    """The text as it is."""
    if len(content) > MAX_CONTENT or not content.strip():
        raise InvalidInput(
            f"{field} must have 1 to {MAX_CONTENT} characters, not all of them white space.", field=field
        )
    if "\0" in content:
        raise InvalidInput(f"{field} holds a NUL character.", field=field)
    return content


def check_scope_id(field: str, scope: str, scope_id: str) -> str:
    """An id for every scope but global, which has none."""
    if scope == GLOBAL:
        if scope_id:
            raise InvalidInput(
                f"{field} must be empty for the scope {GLOBAL}. Name a scope, or leave it out.", field=field
            )
        return ""
    return fields.text(field, scope_id, at_least=1, at_most=MAX_SCOPE_ID)


def check_tags(field: str, tags: Sequence[str]) -> tuple[str, ...]:
    """The tags without repetitions."""
    fields.count(field, tags, MAX_TAGS)
    checked = tuple(dict.fromkeys(fields.text(field, tag, at_least=1, at_most=MAX_TAG) for tag in tags))
    if any("," in tag for tag in checked):
        raise InvalidInput(f"{field} must hold no commas, which stand between tags in lists.", field=field)
    return checked


def check_filter(given: Filter) -> Filter:
    """A filter of a list, search or deletion."""
    scope = fields.one_of("scope", given.scope, SCOPES) if given.scope else ""
    if given.scope_id and scope == GLOBAL:
        raise InvalidInput("scopeId must be empty for the scope global, which has no ids.", field="scopeId")
    scope_id = fields.text("scopeId", given.scope_id, at_most=MAX_SCOPE_ID)
    status = fields.one_of("status", given.status or ACTIVE, LISTED)
    return Filter(scope, scope_id, check_tags("tags", given.tags), status, given.search[:MAX_CONTENT], given.before)


def share(field: str, value: float) -> float:
    """A number from 0 to 1."""
    if not 0.0 <= value <= 1.0:
        raise InvalidInput(f"{field} must be a number from 0 to 1.", field=field)
    return value


def number(field: str, value: float, low: float, high: float) -> float:
    """A number within bounds."""
    if not low <= value <= high:
        raise InvalidInput(f"{field} must be a number from {low:g} to {high:g}.", field=field)
    return value


def check_ranking(ranking: Ranking) -> Ranking:
    for name in ("similarity", "recency", "importance", "access"):
        share(f"config.ranking.{name}", getattr(ranking, name))
    if ranking.similarity == 0.0:
        raise InvalidInput("config.ranking.similarity must be more than 0.", field="config.ranking.similarity")
    number("config.ranking.halfLifeHours", ranking.half_life_hours, 1.0, MAX_HALF_LIFE_HOURS)
    return ranking


def time_of(field: str, value: str) -> float | None:
    """Unix seconds of a time in RFC 3339, or of a date; None: it is empty."""
    if not value:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise InvalidInput(f"{field} must be a time such as 2026-01-31T00:00:00Z, or a date.", field=field) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
