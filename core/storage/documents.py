"""What every adapter takes as a document, and the JSON text in which it is kept.

SQLite's JSON functions end a text at NUL, so two texts that differ behind one would be equal to an index. NUL is
therefore written as U+0001 U+0001, and U+0001 itself as U+0001 U+0002, which keeps every text's order and is undone on
reading.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import orjson

from core.errors import InvalidInput, PayloadTooLarge
from core.storage.ports import Collection, Document, Level

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
"""Of JSON text: what the narrowest engine takes."""

INT64 = range(-(2**63), 2**63)

_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_COLLECTION = re.compile(r"[a-z][a-z0-9_]{0,62}")
_PLAIN_JSON = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


@lru_cache(maxsize=4096)
def _is_field(name: str) -> bool:
    return _FIELD.fullmatch(name) is not None


def check_field(name: str) -> None:
    if not isinstance(name, str) or len(name) > 64 or not _is_field(name):
        raise InvalidInput("A field's name is 1 to 64 letters, digits or '_', and begins with a letter.")


@lru_cache(maxsize=1024)
def check_collection_name(name: str) -> None:
    if not _COLLECTION.fullmatch(name) or name.startswith("sqlite_"):
        raise ValueError(f"a collection's name is 1 to 63 of a-z, 0-9 and '_' and begins with a letter, not {name!r}")


def check_collection(collection: Collection) -> None:
    """Raises ValueError for names that no adapter takes."""
    check_collection_name(collection.name)
    for name in (name for group in (*collection.unique, *collection.indexes) for name in group):
        check_field(name)


def check_text(text: str, field: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput("Text must be valid Unicode without lone surrogates.", field=field) from None


def checked_id(document: Mapping[str, Any]) -> str:
    id = document.get("id")
    if not isinstance(id, str) or not id:
        raise InvalidInput("A document needs an id, a text that is not empty.", field="id")
    check_text(id, "id")
    return id


def check_fields(collection: Collection, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        check_field(name)
        if type(value) is int and value not in INT64:
            raise InvalidInput("An integer must fit into 64 bits.", field=name)
    for name in unique_fields(collection):
        value = fields.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, str | int | float)):
            raise InvalidInput("This field must be a text or a number.", field=name)


def unique_fields(collection: Collection) -> Iterable[str]:
    return (name for group in collection.unique for name in group)


def stored(collection: Collection, project: str, document: Document) -> tuple[str, str]:
    """The id and JSON text of a new document, its project set. Raises InvalidInput or PayloadTooLarge."""
    id = checked_id(document)
    check_fields(collection, document)
    if collection.level is Level.PROJECT:
        document = {**document, "project": project}
    return id, encode(document)


def check_changes(collection: Collection, changes: Mapping[str, Any]) -> None:
    for name in ("id", "project") if collection.level is Level.PROJECT else ("id",):
        if name in changes:
            raise InvalidInput("This field cannot be changed.", field=name)
    check_fields(collection, changes)


def encode(value: Any) -> str:
    """JSON text that `decode` gives back exactly. Raises InvalidInput for what JSON cannot hold."""
    try:
        text = orjson.dumps(value, option=_PLAIN_JSON)
    except orjson.JSONEncodeError as error:
        raise InvalidInput(f"A value cannot be stored as JSON: {error}.") from None
    if len(text) > MAX_DOCUMENT_BYTES:
        raise PayloadTooLarge(f"A document may have at most {MAX_DOCUMENT_BYTES} bytes as JSON.")
    if b"null" in text:  # orjson writes NaN as null: look for it where there is a null only
        _refuse_not_finite(value)
    if b"\\u0000" in text or b"\\u0001" in text:
        text = orjson.dumps(_map_texts(orjson.loads(text), escape))
    return text.decode()


def decode(text: str) -> Any:
    value = orjson.loads(text)
    return _map_texts(value, unescape) if "\\u0001" in text else value


def escape(text: str) -> str:
    return text.replace("\x01", "\x01\x02").replace("\x00", "\x01\x01")


def unescape(text: str) -> str:
    return text.replace("\x01\x01", "\x00").replace("\x01\x02", "\x01")


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value)
        case list():
            return [_map_texts(item, change) for item in value]
        case dict():
            return {change(name): _map_texts(item, change) for name, item in value.items()}
    return value


def _refuse_not_finite(value: Any) -> None:
    match value:
        case float() if not math.isfinite(value):
            raise InvalidInput("A number must be finite.")
        case list() | tuple():
            for item in value:
                _refuse_not_finite(item)
        case dict():
            for item in value.values():
                _refuse_not_finite(item)
