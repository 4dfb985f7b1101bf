"""KnowledgeService."""

from collections.abc import AsyncIterator
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from core import context as request_context
from core import fields
from core.offload import in_turns
from core.rpc.call import CallContext
from portico.rag.v1 import knowledge_service_pb2 as pb
from portico.rag.v1 import knowledge_service_pb2_grpc
from services.rag import mapping_knowledge as mapping
from services.rag.domain.knowledge.chunks import Chunks
from services.rag.domain.knowledge.documents import Documents, wait
from services.rag.domain.knowledge.modules import Modules
from services.rag.domain.knowledge.records import Document, Module
from services.rag.domain.knowledge.reindexing import Reindexes
from services.rag.servicers.ingestion import IngestionReader, Received

WAIT_SECONDS = 45.0
"""Longest time that an ingestion waits: clients give up after 60 seconds."""
_DELETE_SECONDS = 5.0


class KnowledgeServicer(knowledge_service_pb2_grpc.KnowledgeServiceServicer):
    def __init__(
        self, modules: Modules, documents: Documents, chunks: Chunks, reindexes: Reindexes, reader: IngestionReader
    ) -> None:
        self._modules = modules
        self._documents = documents
        self._chunks = chunks
        self._reindexes = reindexes
        self._reader = reader

    async def ListModules(self, request: pb.ListModulesRequest, context: CallContext) -> pb.ListModulesResponse:
        project = request_context.identity().project
        modules, token = await self._modules.page(project, request.page_size, request.page_token)
        counts = await self._modules.counts(project, [each.id for each in modules])

        def message(module: Module) -> pb.Module:
            return mapping.module(module, counts.get(module.id, mapping.NO_COUNTS))

        return pb.ListModulesResponse(modules=await in_turns(message, modules), next_page_token=token)

    async def GetModule(self, request: pb.GetModuleRequest, context: CallContext) -> pb.GetModuleResponse:
        module = await self._modules.get(request_context.identity().project, request.key)
        return pb.GetModuleResponse(module=await self._message(module))

    async def CreateModule(self, request: pb.CreateModuleRequest, context: CallContext) -> pb.CreateModuleResponse:
        new = mapping.new_module(request)
        module = await self._modules.create(request_context.identity().project, new)
        return pb.CreateModuleResponse(module=mapping.module(module))

    async def UpdateModule(self, request: pb.UpdateModuleRequest, context: CallContext) -> pb.UpdateModuleResponse:
        changes = mapping.module_changes(request)
        module = await self._reindexes.update(request_context.identity().project, request.key, changes)
        return pb.UpdateModuleResponse(module=await self._message(module))

    async def DeleteModule(self, request: pb.DeleteModuleRequest, context: CallContext) -> pb.DeleteModuleResponse:
        await self._modules.delete(request_context.identity().project, request.key)
        return pb.DeleteModuleResponse(success=True)

    async def IngestDocument(
        self, request_iterator: AsyncIterator[pb.IngestDocumentRequest], context: CallContext
    ) -> HttpBody:
        async def find(first: Any) -> tuple[Module, Document | None]:
            return await self._modules.active(request_context.identity().project, first.module_key), None

        return await self._ingested(*await self._reader.read(request_iterator, find))

    async def ListDocuments(self, request: pb.ListDocumentsRequest, context: CallContext) -> pb.ListDocumentsResponse:
        project = request_context.identity().project
        module = await self._modules.get(project, request.module_key)
        documents, token = await self._documents.list(
            project,
            module,
            status=request.status,
            size=request.limit or request.page_size,
            token=request.page_token,
        )
        return pb.ListDocumentsResponse(documents=await in_turns(mapping.document, documents), next_page_token=token)

    async def GetDocument(self, request: pb.GetDocumentRequest, context: CallContext) -> pb.GetDocumentResponse:
        project = request_context.identity().project
        _, document = await self._find(request.module_key, request.document_id)
        return pb.GetDocumentResponse(document=mapping.document(document, await self._documents.job(project, document)))

    async def ReingestDocument(
        self, request_iterator: AsyncIterator[pb.ReingestDocumentRequest], context: CallContext
    ) -> HttpBody:
        async def find(first: Any) -> tuple[Module, Document | None]:
            project = request_context.identity().project
            module = await self._modules.active(project, first.module_key)
            return module, await self._documents.get(project, module, first.document_id)

        return await self._ingested(*await self._reader.read(request_iterator, find))

    async def DeleteDocument(
        self, request: pb.DeleteDocumentRequest, context: CallContext
    ) -> pb.DeleteDocumentResponse:
        project = request_context.identity().project
        module = await self._modules.get(project, request.module_key)
        document = await self._documents.delete(project, module, request.document_id)
        await self._documents.wait_for_removal(project, document.id, _DELETE_SECONDS)
        return pb.DeleteDocumentResponse(success=True, deleted_chunks=document.chunk_count)

    async def ListChunks(self, request: pb.ListChunksRequest, context: CallContext) -> pb.ListChunksResponse:
        module, document = await self._find(request.module_key, request.document_id)
        chunks, token = await self._chunks.page(
            request_context.identity().project,
            document,
            module.generation,
            fields.page_size(request.page_size),
            request.page_token,
        )
        return pb.ListChunksResponse(chunks=await in_turns(mapping.chunk, chunks), next_page_token=token)

    async def CreateReindex(self, request: pb.CreateReindexRequest, context: CallContext) -> pb.CreateReindexResponse:
        project = request_context.identity().project
        module = await self._modules.get(project, request.module_key)
        chunking = mapping.chunk_config_of(request.chunk_config) if request.HasField("chunk_config") else None
        reindex = await self._reindexes.create(project, module, request.embedding_model_key, chunking)
        return pb.CreateReindexResponse(reindex=mapping.reindex(reindex, None))

    async def ListReindexes(self, request: pb.ListReindexesRequest, context: CallContext) -> pb.ListReindexesResponse:
        project = request_context.identity().project
        module = await self._modules.get(project, request.module_key)
        reindexes, token = await self._reindexes.list(project, module, request.page_size, request.page_token)
        return pb.ListReindexesResponse(
            reindexes=[mapping.reindex(each, await self._reindexes.job(project, each)) for each in reindexes],
            next_page_token=token,
        )

    async def GetReindex(self, request: pb.GetReindexRequest, context: CallContext) -> pb.GetReindexResponse:
        project = request_context.identity().project
        module = await self._modules.get(project, request.module_key)
        return pb.GetReindexResponse(reindex=mapping.reindex(*await self._reindexes.get(project, module, request.id)))

    async def CancelReindex(self, request: pb.CancelReindexRequest, context: CallContext) -> pb.CancelReindexResponse:
        project = request_context.identity().project
        module = await self._modules.get(project, request.module_key)
        ended = await self._reindexes.cancel(project, module, request.id)
        return pb.CancelReindexResponse(reindex=mapping.reindex(*ended))

    async def _find(self, module_key: str, document_id: str) -> tuple[Module, Document]:
        project = request_context.identity().project
        module = await self._modules.get(project, module_key)
        return module, await self._documents.get(project, module, document_id)

    async def _message(self, module: Module) -> pb.Module:
        project = request_context.identity().project
        counts = await self._modules.counts(project, [module.id])
        reindex = await self._modules.reindex_of(project, module)
        running = mapping.reindex(reindex, await self._reindexes.job(project, reindex)) if reindex else None
        return mapping.module(module, counts.get(module.id, mapping.NO_COUNTS), running)

    async def _ingested(self, received: Received, module: Module) -> HttpBody:
        """The answer to an ingestion. Where the body does not say, what came in JSON is waited for."""
        document = received.document
        if received.inline if received.wait is None else received.wait:
            project = request_context.identity().project
            document = await wait(self._documents, project, module, document, WAIT_SECONDS)
        return mapping.ingested(document)
