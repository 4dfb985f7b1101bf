"""The sealed texts within documents, as their collections declare them (`Collection.sealed`)."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from core.sealing import Sealer
from core.storage.ports import Collection, Document
from core.tenancy import Scope

_EACH = "*"


def sealed_values(collection: Collection, document: Document) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Each sealed text of a document: the object that holds it, its name there, and the record id it is bound to."""
    for path, template in collection.sealed.items():
        *parents, name = path.split(".")
        for holder in _holders(document, parents):
            if isinstance(holder, dict) and holder.get(name):
                yield holder, name, template.format(id=holder.get("id", ""))


def key_ids(collection: Collection, document: Document) -> set[str]:
    """Ids of the encryption keys that the document's secrets are sealed with."""
    return {Sealer.key_id(holder[name]) for holder, name, _ in sealed_values(collection, document)}


def resealed(
    collection: Collection, document: Document, opener: Sealer, source: Scope, sealer: Sealer, target: Scope
) -> Document:
    """The document with its secrets sealed for another scope, with the primary key of `sealer`. Raises SealBroken."""
    if not collection.sealed:
        return document
    copied = copy.deepcopy(document)
    for holder, name, record_id in sealed_values(collection, copied):
        holder[name] = sealer.seal(target, record_id, opener.open(source, record_id, holder[name]))
    return copied


def without_secrets(collection: Collection, document: Document) -> Document:
    """The document without sealed texts and without fields that prove a secret."""
    shown = {name: value for name, value in document.items() if name not in collection.hidden}
    if collection.sealed:
        shown = copy.deepcopy(shown)
        for holder, name, _ in list(sealed_values(collection, shown)):
            del holder[name]
    return shown


def _holders(value: Any, path: list[str]) -> Iterator[Any]:
    if not path:
        yield value
        return
    name, *rest = path
    if name == _EACH:
        for item in value if isinstance(value, list) else ():
            yield from _holders(item, rest)
    elif isinstance(value, Mapping) and name in value:
        yield from _holders(value[name], rest)
