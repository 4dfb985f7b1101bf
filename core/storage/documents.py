"""Checks of documents, the same for every adapter, and the JSON text in which they are kept.

SQLite's JSON functions end a text at NUL, so two texts that differ behind one would be equal to an index. NUL is
therefore written as U+0001 U+0001, and U+0001 itself as U+0001 U+0002, which keeps every text's order and is undone on
reading.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from types import NoneType
from typing import Any

import orjson

from core.errors import InvalidInput, PayloadTooLarge
from core.storage.ports import BOOLEAN, INTEGER, JSON, NUMBER, TEXT, TIME, Collection, Document, FieldType, Level

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024 - 64 * 1024
"""Most bytes of a document's JSON text, and of its BSON, of which MongoDB takes 16 MiB: the rest is for what its
adapter adds."""

_SURELY_FITS = 2 * 1024 * 1024
"""Characters of JSON that have at most MAX_DOCUMENT_BYTES as BSON. A list of one-digit numbers grows most: from 2 bytes
each to at most 13."""

MAX_DEPTH = 64
"""Levels of objects and lists in a document, itself included. MongoDB takes 100."""

INT64 = range(-(2**63), 2**63)

_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_COLLECTION = re.compile(r"[a-z][a-z0-9_]{0,62}")
ESCAPED = b"\\u000"
"""Part of a JSON text that may hold what `encode` writes in another way."""
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
    """Check a declaration. Raises ValueError for names that no adapter takes, and for an index of a field without a
    scalar type."""
    check_collection_name(collection.name)
    for name in collection.fields:
        if not _is_field(name) or name == "id" or (name == "project" and collection.level is Level.PROJECT):
            raise ValueError(f"{collection.name} cannot declare a field {name!r}")
    for group in (*collection.unique, *collection.indexes):
        for name in group:
            if collection.types.get(name) in (None, JSON):
                raise ValueError(f"{collection.name} has an index of {name!r}, whose scalar type is not declared")
    for name in unique_fields(collection):
        if collection.types[name] is BOOLEAN:
            raise ValueError(f"a unique field is a text, a number or a time: {collection.name}.{name}")
    if collection.expiry and collection.types.get(collection.expiry) is not TIME:
        raise ValueError(f"{collection.name} expires by {collection.expiry!r}, which is not declared as a time")


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


_TAKEN: Mapping[FieldType, tuple[frozenset[type], tuple[type, ...], str]] = {
    TEXT: (frozenset({str}), (str,), "a text"),
    INTEGER: (frozenset({int}), (int,), "an integer"),
    NUMBER: (frozenset({int, float}), (int, float), "a number"),
    TIME: (frozenset({int, float}), (int, float), "a time in Unix seconds"),
    BOOLEAN: (frozenset({bool}), (bool,), "true or false"),
}
"""Each scalar type's usual classes of values, its allowed classes, and its name for people."""
_SCALARS = frozenset({str, int, float, bool, NoneType})


def check_typed(name: str, type_: FieldType, value: Any) -> None:
    """Check a value against its declared type. Raises InvalidInput where a field of this type cannot hold the value,
    nor be compared with it."""
    exact, classes, what = _TAKEN[type_]
    if type(value) in exact:
        if type(value) is int and value not in INT64:
            raise _too_large(name)
    elif value is not None and (not isinstance(value, classes) or isinstance(value, bool) is not (type_ is BOOLEAN)):
        raise InvalidInput(f"{name} must be {what}.", field=name)


def check_fields(collection: Collection, fields: Mapping[str, Any]) -> None:
    """Check names and values. Raises InvalidInput for what some engine could not hold."""
    usual = collection.usual
    for name, value in fields.items():  # for each field of each record that is written: usage, traces, logs
        kind = type(value)
        classes = usual.get(name)
        if kind is int and value not in INT64:
            _check_value(collection, name, value)
        elif classes is not None:
            if kind not in classes:
                _check_value(collection, name, value)
        elif kind not in _SCALARS or type(name) is not str or len(name) > 64 or not _is_field(name):
            check_field(name)
            _check_value(collection, name, value)


def _check_value(collection: Collection, name: str, value: Any) -> None:
    type_ = collection.types.get(name)
    if type_ is None:
        kind = type(value)
        if kind is int and value not in INT64:
            check_field(name)
            raise _too_large(name)
        if kind is dict or kind is list or kind is tuple:
            _check_nested(name, value, 2)
    elif type_ is not JSON:
        check_typed(name, type_, value)


def _check_nested(field: str, value: Any, depth: int) -> None:
    """Refuse what some engine could not hold within an object or list at this level."""
    if depth > MAX_DEPTH:
        raise InvalidInput(f"{field} must be nested at most {MAX_DEPTH} levels deep.", field=field)
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str) or not name or name[0] == "$" or "." in name or "\0" in name:
                raise InvalidInput(
                    f"A name within {field} must be a text that is not empty, does not begin with $ and holds no dot "
                    "or NUL character.",
                    field=field,
                )
        value = value.values()
    for item in value:
        kind = type(item)
        if kind is int:
            if item not in INT64:
                raise _too_large(field)
        elif kind is dict or kind is list or kind is tuple:
            _check_nested(field, item, depth + 1)


def _too_large(field: str) -> InvalidInput:
    return InvalidInput("An integer must fit into 64 bits.", field=field)


def check_size(collection: Collection, fields: Mapping[str, Any], length: int) -> None:
    """Check the size of a document. Raises PayloadTooLarge where fields of so many characters of JSON are too large for
    a document of any engine."""
    if length <= _SURELY_FITS:
        return
    if length > MAX_DOCUMENT_BYTES or _document_size(collection, fields) > MAX_DOCUMENT_BYTES:
        raise PayloadTooLarge(f"A document may have at most {MAX_DOCUMENT_BYTES} bytes, as JSON and as BSON.")


def _document_size(collection: Collection, fields: Mapping[str, Any]) -> int:
    """Bytes of BSON, at most. Free JSON counts as the text that an engine may keep it as."""
    types = collection.types
    return sum(
        len(name) + 2 + (len(orjson.dumps(value)) + 5 if types.get(name) is JSON else bson_size(value))
        for name, value in fields.items()
    )


def bson_size(value: Any) -> int:
    """Bytes of a value in BSON, at most: an integer counts as one of 64 bits."""
    match value:
        case str():
            return len(value.encode()) + 5
        case None:
            return 0
        case dict():
            return 5 + sum(len(name.encode()) + 2 + bson_size(item) for name, item in value.items())
        case list() | tuple():
            return 5 + sum(len(str(at)) + 2 + bson_size(item) for at, item in enumerate(value))
    return 8


def unique_fields(collection: Collection) -> Iterable[str]:
    return (name for group in collection.unique for name in group)


def stored(collection: Collection, project: str, document: Document) -> tuple[str, str]:
    """The id and JSON text of a new document, its project set. Raises InvalidInput or PayloadTooLarge."""
    id = checked_id(document)
    check_fields(collection, document)
    return id, text_of(collection, project, document)


def text_of(collection: Collection, project: str, document: Document) -> str:
    """The JSON text of a document whose fields are checked, its project set. Raises PayloadTooLarge."""
    if collection.level is Level.PROJECT:
        document = {**document, "project": project}
    text = encode(document)
    check_size(collection, document, len(text))
    return text


def check_changes(collection: Collection, changes: Mapping[str, Any]) -> None:
    for name in ("id", "project") if collection.level is Level.PROJECT else ("id",):
        if name in changes:
            raise InvalidInput("This field cannot be changed.", field=name)
    check_fields(collection, changes)


def check_amounts(collection: Collection, amounts: Mapping[str, int], initial: Mapping[str, Any]) -> None:
    """Check the amounts of an increment. Raises TypeError for a bug of the caller, InvalidInput for an amount of more
    than 64 bits."""
    check_changes(collection, {**initial, **amounts})
    if not amounts or amounts.keys() & initial.keys():
        raise TypeError("an increment has at least one amount, and no field that is among the initial ones")
    for name in amounts:
        if collection.types.get(name) is not INTEGER or amounts[name] is None:
            raise TypeError(f"{collection.name}.{name} is not declared as an integer, so it cannot be incremented")


def encode(value: Any) -> str:
    """JSON text that `decode` gives back exactly. Raises InvalidInput for what JSON cannot hold."""
    try:
        text = orjson.dumps(value, option=_PLAIN_JSON)
    except orjson.JSONEncodeError as error:
        raise InvalidInput(f"A value cannot be stored as JSON: {error}.") from None
    if b"null" in text:  # orjson writes NaN as null: look for it where there is a null only
        _refuse_not_finite(value)
    if ESCAPED in text:
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
