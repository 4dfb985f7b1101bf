"""All documents of a list, however many: in pages, so that neither end holds them at once."""

from collections.abc import AsyncIterator

from core.storage.ports import Collection, Document, DocumentStore, Order, Where
from core.tenancy import Scope

_PAGE = 500

_OLDEST_FIRST = Order(descending=False)


async def every(
    store: DocumentStore,
    scope: Scope,
    collection: Collection,
    where: Where | None = None,
    *,
    order: Order = _OLDEST_FIRST,
) -> AsyncIterator[Document]:
    """What comes to be while it is read may be among them or not; nothing is twice."""
    token = ""
    while True:
        page = await store.find(scope, collection, where, order=order, page_size=_PAGE, page_token=token)
        for document in page.items:
            yield document
        token = page.next_token
        if not token:
            return
