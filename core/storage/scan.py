"""Scan of every document of a list, page by page, so that neither end holds them all at once."""

from collections.abc import AsyncIterator

from core.storage.ports import Collection, Document, DocumentStore, Order, Where
from core.tenancy import Scope

_PAGE = 500

OLDEST_FIRST = Order(descending=False)


async def scan(
    store: DocumentStore,
    scope: Scope,
    collection: Collection,
    where: Where | None = None,
    *,
    order: Order = OLDEST_FIRST,
) -> AsyncIterator[Document]:
    """Every matching document, once each. One that is inserted meanwhile may be among them or not."""
    token = ""
    while True:
        page = await store.find(scope, collection, where, order=order, page_size=_PAGE, page_token=token)
        for document in page.items:
            yield document
        token = page.next_token
        if not token:
            return
