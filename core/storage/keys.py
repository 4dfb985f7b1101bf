"""Keys that records are called by: the caller's own, or one made from a name."""

from core.errors import Conflict
from core.storage.ports import Collection, Document, DocumentStore
from core.tenancy import Project

_ATTEMPTS = 20


async def insert_with_key(
    store: DocumentStore, project: Project, collection: Collection, document: Document, stem: str
) -> Document:
    """Inserts under the document's own key or, where that is empty, the first free one of stem, stem-2, stem-3, ... The
    key must be the collection's only unique field. Raises Conflict."""
    keys = [document["key"]] if document["key"] else [stem, *(f"{stem}-{at}" for at in range(2, _ATTEMPTS))]
    for key in keys:
        keyed = document | {"key": key}
        try:
            await store.insert(project, collection, keyed)
        except Conflict:
            continue
        return keyed
    raise Conflict(f"The key {keys[0]} is taken in this project. Choose another.", reason="KEY_TAKEN", field="key")
