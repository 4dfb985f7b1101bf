"""VectorStoreService: OpenAI's JSON in and out."""

from typing import Any, Protocol

import orjson
from google.api.httpbody_pb2 import HttpBody

from core import context as request_context
from core.rpc.call import CallContext
from core.tenancy import Project
from portico.rag.v1 import vector_store_service_pb2 as pb
from portico.rag.v1 import vector_store_service_pb2_grpc
from services.rag import mapping_vector_stores as mapping
from services.rag.domain.vector_stores import requests
from services.rag.domain.vector_stores.files import StoreFiles
from services.rag.domain.vector_stores.paging import Cursor
from services.rag.domain.vector_stores.search import StoreSearch
from services.rag.domain.vector_stores.stores import VectorStores

_POLL_AFTER = ("openai-poll-after-ms", "500")
"""Tells OpenAI's clients when to ask again for what is in progress."""


class _List(Protocol):
    limit: int
    page_size: int
    after: str
    page_token: str
    before: str
    order: str


class VectorStoreServicer(vector_store_service_pb2_grpc.VectorStoreServiceServicer):
    def __init__(self, stores: VectorStores, files: StoreFiles, search: StoreSearch) -> None:
        self._stores = stores
        self._files = files
        self._search = search

    async def CreateVectorStore(self, request: pb.CreateVectorStoreRequest, context: CallContext) -> HttpBody:
        asked = requests.create_store(request.body.data)
        return _json(mapping.store(await self._files.create_store(_project(), asked)))

    async def ListVectorStores(self, request: pb.ListVectorStoresRequest, context: CallContext) -> HttpBody:
        stores, has_more = await self._stores.page(_project(), _cursor(request))
        return _json(mapping.page([mapping.store(each) for each in stores], has_more=has_more))

    async def GetVectorStore(self, request: pb.GetVectorStoreRequest, context: CallContext) -> HttpBody:
        return _json(mapping.store(await self._stores.view(_project(), request.vector_store_id)))

    async def UpdateVectorStore(self, request: pb.UpdateVectorStoreRequest, context: CallContext) -> HttpBody:
        asked = requests.update_store(request.body.data)
        return _json(mapping.store(await self._stores.update(_project(), request.vector_store_id, asked)))

    async def DeleteVectorStore(self, request: pb.DeleteVectorStoreRequest, context: CallContext) -> HttpBody:
        await self._stores.delete(_project(), request.vector_store_id)
        return _json(mapping.deleted(request.vector_store_id, "vector_store.deleted"))

    async def SearchVectorStore(self, request: pb.SearchVectorStoreRequest, context: CallContext) -> HttpBody:
        asked = requests.search(request.body.data)
        queries, matches = await self._search.search(_project(), request.vector_store_id, asked)
        return _json(mapping.results(queries, matches))

    async def CreateVectorStoreFile(self, request: pb.CreateVectorStoreFileRequest, context: CallContext) -> HttpBody:
        new = requests.add_file(request.body.data)
        return _json(mapping.file(await self._files.add(_project(), request.vector_store_id, new)))

    async def ListVectorStoreFiles(self, request: pb.ListVectorStoreFilesRequest, context: CallContext) -> HttpBody:
        files, has_more = await self._files.page(
            _project(), request.vector_store_id, _cursor(request), status=request.filter
        )
        return _json(mapping.page([mapping.file(each) for each in files], has_more=has_more))

    async def GetVectorStoreFile(self, request: pb.GetVectorStoreFileRequest, context: CallContext) -> HttpBody:
        file = await self._files.view(_project(), request.vector_store_id, request.file_id)
        context.add_header(*_POLL_AFTER)
        return _json(mapping.file(file))

    async def UpdateVectorStoreFile(self, request: pb.UpdateVectorStoreFileRequest, context: CallContext) -> HttpBody:
        attributes = requests.update_file(request.body.data)
        file = await self._files.update(_project(), request.vector_store_id, request.file_id, attributes)
        return _json(mapping.file(file))

    async def DeleteVectorStoreFile(self, request: pb.DeleteVectorStoreFileRequest, context: CallContext) -> HttpBody:
        await self._files.delete(_project(), request.vector_store_id, request.file_id)
        return _json(mapping.deleted(request.file_id, "vector_store.file.deleted"))

    async def GetVectorStoreFileContent(
        self, request: pb.GetVectorStoreFileContentRequest, context: CallContext
    ) -> HttpBody:
        text = await self._files.text(_project(), request.vector_store_id, request.file_id)
        return _json(mapping.content([text]))

    async def CreateFileBatch(self, request: pb.CreateFileBatchRequest, context: CallContext) -> HttpBody:
        files = requests.add_batch(request.body.data)
        return _json(mapping.batch(await self._files.add_batch(_project(), request.vector_store_id, files)))

    async def GetFileBatch(self, request: pb.GetFileBatchRequest, context: CallContext) -> HttpBody:
        batch = await self._files.batch(_project(), request.vector_store_id, request.batch_id)
        context.add_header(*_POLL_AFTER)
        return _json(mapping.batch(batch))

    async def CancelFileBatch(self, request: pb.CancelFileBatchRequest, context: CallContext) -> HttpBody:
        return _json(
            mapping.batch(await self._files.cancel_batch(_project(), request.vector_store_id, request.batch_id))
        )

    async def ListFileBatchFiles(self, request: pb.ListFileBatchFilesRequest, context: CallContext) -> HttpBody:
        files, has_more = await self._files.page(
            _project(), request.vector_store_id, _cursor(request), status=request.filter, batch_id=request.batch_id
        )
        return _json(mapping.page([mapping.file(each) for each in files], has_more=has_more))


def _project() -> Project:
    return request_context.identity().project


def _cursor(request: _List) -> Cursor:
    return Cursor(
        limit=request.limit or request.page_size,
        after=request.after or request.page_token,
        before=request.before,
        order=request.order,
    )


def _json(content: dict[str, Any]) -> HttpBody:
    return HttpBody(content_type="application/json", data=orjson.dumps(content))
