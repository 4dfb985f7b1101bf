"""Documents as MongoDB keeps them. Pure.

Beside its own fields a document has three of the adapter's, whose names no document can have: `_id` is unique over all
projects, `_version` counts its changes for compare-and-set, and `_unique` holds the key of each unique group whose
fields it has. A sparse unique index over such a key constrains just the documents that have it; an index over the
fields themselves would take two documents without them for equal.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import bson
import orjson

from core.storage import documents
from core.storage.documents import MAX_DOCUMENT_BYTES, stored
from core.storage.ports import JSON, Collection, Document
from core.tenancy import Project, Scope

ID, VERSION, UNIQUE = "_id", "_version", "_unique"
BATCH, APPLIED = "_batch", "_applied"
"""Fields of documents that are counted, and of counters: see `mongodb_counting`."""
HIDDEN = (ID, VERSION, UNIQUE, BATCH, APPLIED)

Group = tuple[str, ...]


def new(scope: Scope, collection: Collection, document: Document) -> Document:
    """A document to insert. Raises InvalidInput, PayloadTooLarge."""
    project = project_of(scope)
    id, text = stored(collection, project, document)
    own = documents.decode(text)
    return {ID: id_of(scope, id), **values(collection, own), VERSION: 1, UNIQUE: unique_keys(project, collection, own)}


def project_of(scope: Scope) -> str:
    """The id of the scope's project; empty where it has none."""
    return scope.id if isinstance(scope, Project) else ""


def id_of(scope: Scope, id: str) -> str:
    """The `_id` of a document. No id of a project has a slash."""
    return f"{scope.id}/{id}" if isinstance(scope, Project) else id


def values(collection: Collection, fields: Mapping[str, Any]) -> Document:
    """Fields as they are kept: free JSON as its text, since BSON has no integers of more than 64 bits and no dots in
    names."""
    free = [name for name in fields if collection.types.get(name) is JSON and fields[name] is not None]
    return {**fields, **{name: documents.encode(fields[name]) for name in free}} if free else dict(fields)


def read(collection: Collection, found: Mapping[str, Any]) -> Document:
    """A document as its caller gets it."""
    document = {name: value for name, value in found.items() if name not in HIDDEN}
    for name, type_ in collection.types.items():
        if type_ is JSON and document.get(name) is not None:
            document[name] = documents.decode(document[name])
    return document


def is_too_large(document: Mapping[str, Any]) -> bool:
    """Return whether a document, as it is kept, is larger than one may be."""
    return len(bson.encode(document)) > MAX_DOCUMENT_BYTES or len(orjson.dumps(document)) > MAX_DOCUMENT_BYTES


def name_of(group: Group) -> str:
    return ",".join(group)


def unique_keys(project: str, collection: Collection, document: Mapping[str, Any]) -> dict[str, str]:
    """The key of each group whose fields the document has."""
    keys = {group: unique_key(project, group, document) for group in collection.unique}
    return {name_of(group): key for group, key in keys.items() if key is not None}


def unique_key(project: str, group: Group, fields: Mapping[str, Any]) -> str | None:
    """The project's id, or an empty text, and the group's values, as a text that is the same for equal ones, of which 1
    and 1.0 are two."""
    found = [fields.get(name) for name in group]
    if None in found:
        return None
    return orjson.dumps([project, *map(_normal, found)]).decode()


def touched(collection: Collection, changed: Iterable[str]) -> list[Group]:
    """The unique groups with a field that changes."""
    names = set(changed)
    return [group for group in collection.unique if names.intersection(group)]


def _normal(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**63 else value
