"""Values that callers give of vector stores and their files, as OpenAI limits them. Pure. All checks raise
InvalidInput, naming the field."""

from collections.abc import Mapping
from typing import Any

import msgspec

from core import fields
from core.errors import InvalidInput

MAX_PAIRS = 16
MAX_NAME, MAX_TEXT = 64, 512
MAX_DAYS = 365
MAX_FILES = 2_000
MAX_RESULTS = 50
_RESERVED = "_"

Attributes = dict[str, str | float | bool]


class ExpiresAfter(msgspec.Struct, frozen=True):
    """Days without use after which a vector store ends."""

    anchor: str
    days: int

    def check(self) -> None:
        fields.one_of("expires_after.anchor", self.anchor, ("last_active_at",))
        if not 1 <= self.days <= MAX_DAYS:
            raise InvalidInput(f"expires_after.days must be 1 to {MAX_DAYS}.", field="expires_after.days")


class StaticChunks(msgspec.Struct, frozen=True):
    """Sizes of chunks, in tokens."""

    max_chunk_size_tokens: int
    chunk_overlap_tokens: int


class Chunking(msgspec.Struct, frozen=True):
    """The chunking of files: `auto`, or `static` with sizes."""

    type: str
    static: StaticChunks | None = None

    def sizes(self, field: str = "chunking_strategy") -> StaticChunks:
        """The sizes; those of `auto` are OpenAI's."""
        fields.one_of(f"{field}.type", self.type, ("auto", "static"))
        if self.type == "auto":
            if self.static is not None:
                raise InvalidInput(f"{field}.static goes with the type static alone.", field=f"{field}.static")
            return AUTO
        if self.static is None:
            raise InvalidInput(f"{field}.static must give the sizes of chunks.", field=f"{field}.static")
        size, overlap = self.static.max_chunk_size_tokens, self.static.chunk_overlap_tokens
        if not 100 <= size <= 4096:
            name = f"{field}.static.max_chunk_size_tokens"
            raise InvalidInput(f"{name} must be 100 to 4096.", field=name)
        if not 0 <= overlap <= size // 2:
            name = f"{field}.static.chunk_overlap_tokens"
            raise InvalidInput(f"{name} must be 0 to half of max_chunk_size_tokens.", field=name)
        return self.static


AUTO = StaticChunks(800, 400)


def metadata(value: Mapping[str, str] | None) -> dict[str, str]:
    """Metadata of a vector store."""
    given = value or {}
    _check_names("metadata", given)
    for name, text in given.items():
        if len(text) > MAX_TEXT:
            raise InvalidInput(f"metadata.{name} must have at most {MAX_TEXT} characters.", field=f"metadata.{name}")
    return fields.small_json("metadata", given)


def attributes(value: Mapping[str, Any] | None, field: str = "attributes") -> Attributes:
    """Attributes of a file, which searches filter by."""
    given = value or {}
    _check_names(field, given)
    for name, each in given.items():
        at = f"{field}.{name}"
        if name.startswith(_RESERVED):
            raise InvalidInput(f"{at}: names of attributes must not begin with {_RESERVED}.", field=at)
        if not isinstance(each, str | int | float | bool):
            raise InvalidInput(f"{at} must be text, a number, true or false.", field=at)
        if isinstance(each, str) and len(each) > MAX_TEXT:
            raise InvalidInput(f"{at} must have at most {MAX_TEXT} characters.", field=at)
    return fields.small_json(field, given)


def _check_names(field: str, given: Mapping[str, Any]) -> None:
    if len(given) > MAX_PAIRS:
        raise InvalidInput(f"{field} must hold at most {MAX_PAIRS} pairs.", field=field)
    for name in given:
        if not 1 <= len(name) <= MAX_NAME:
            raise InvalidInput(f"{field}: names must have 1 to {MAX_NAME} characters.", field=field)
