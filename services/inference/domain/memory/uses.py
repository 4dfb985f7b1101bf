"""The `memory` block of a chat request, in the form of @cognipeer/console-sdk:

"memory": {"storeKey": "notes", "scope": "user", "scopeId": "ada", "topK": 5, "maxTokens": 2000}

Beside these it takes `tags` and `minScore` of a recall, and `recall` and `store`, which turn off one of the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidInput

FIELD = "memory"
GLOBAL = "global"
SCOPES = (GLOBAL, "user", "agent", "session")
MAX_TOP_K = 100
MAX_TOKENS = 100_000
MAX_KEY = 200
MAX_TAGS = 32
_SPELLINGS: Mapping[Any, str] = {
    "store_key": "storeKey",
    "top_k": "topK",
    "scope_id": "scopeId",
    "max_tokens": "maxTokens",
    "min_score": "minScore",
}
_MEMBERS = frozenset({*_SPELLINGS.values(), "scope", "tags", "recall", "store"})


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """The use that a request makes of a memory store. 0 and None: the store's default."""

    store_key: str
    scope: str = GLOBAL
    scope_id: str = ""
    top_k: int = 0
    max_tokens: int = 0
    min_score: float | None = None
    tags: tuple[str, ...] = ()
    recall: bool = True
    store: bool = True


def read(given: object) -> MemoryUse | None:
    """None where there is no block, but null. Raises InvalidInput, naming the field."""
    if given is None:
        return None
    if not isinstance(given, dict):
        raise _invalid(FIELD, 'must be an object such as {"storeKey": "notes", "scope": "user", "scopeId": "ada"}')
    block: dict[str, Any] = {_SPELLINGS.get(name, name): value for name, value in given.items()}
    if unknown := sorted(block.keys() - _MEMBERS):
        raise _invalid(f"memory.{unknown[0]:.64}", f"is not known; memory has {', '.join(sorted(_MEMBERS))}")
    scope = _text(block, "scope") or GLOBAL
    if scope not in SCOPES:
        raise _invalid("memory.scope", f"must be one of {', '.join(SCOPES)}")
    scope_id = _text(block, "scopeId")
    if (scope == GLOBAL) == bool(scope_id):
        raise _invalid("memory.scopeId", "names whose memory it is: user, agent and session need one, global has none")
    store_key = _text(block, "storeKey")
    if not store_key:
        raise _invalid("memory.storeKey", "must be the key of a memory store")
    return MemoryUse(
        store_key,
        scope,
        scope_id,
        _number(block, "topK", MAX_TOP_K),
        _number(block, "maxTokens", MAX_TOKENS),
        _share(block, "minScore"),
        _tags(block.get("tags")),
        _flag(block, "recall"),
        _flag(block, "store"),
    )


def _text(block: Mapping[str, Any], name: str) -> str:
    value = block.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_KEY:
        raise _invalid(f"memory.{name}", f"must be a text of at most {MAX_KEY} characters")
    return value


def _number(block: Mapping[str, Any], name: str, most: int) -> int:
    value = block.get(name)
    if value is None:
        return 0
    if type(value) is not int or not 1 <= value <= most:
        raise _invalid(f"memory.{name}", f"must be a whole number from 1 to {most}")
    return value


def _share(block: Mapping[str, Any], name: str) -> float | None:
    value = block.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise _invalid(f"memory.{name}", "must be a number from 0 to 1")
    return float(value)


def _tags(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_TAGS or not all(isinstance(tag, str) and tag for tag in value):
        raise _invalid("memory.tags", f"must be a list of at most {MAX_TAGS} texts")
    return tuple(value)


def _flag(block: Mapping[str, Any], name: str) -> bool:
    value = block.get(name)
    if value is None:
        return True
    if not isinstance(value, bool):
        raise _invalid(f"memory.{name}", "must be true or false")
    return value


def _invalid(field: str, what: str) -> InvalidInput:
    return InvalidInput(f"{field} {what}.", field=field)
