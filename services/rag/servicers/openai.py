"""OpenAIFileService: OpenAI's shapes over the same store."""

from collections.abc import AsyncIterator, Mapping

from google.api.httpbody_pb2 import HttpBody

from core import context as request_context
from core.errors import InvalidInput
from core.offload import in_turns
from core.rpc.call import CallContext
from portico.rag.v1 import file_service_pb2 as pb
from portico.rag.v1 import file_service_pb2_grpc
from services.rag import mapping, mapping_json
from services.rag.domain.files import openai_files
from services.rag.domain.files.buckets import OPENAI
from services.rag.domain.files.files import ORIGINAL
from services.rag.domain.files.openai_files import OpenAIFiles
from services.rag.domain.files.uploads import NewFile
from services.rag.servicers.sending import send
from services.rag.servicers.uploads import UploadReader


class OpenAIFileServicer(file_service_pb2_grpc.OpenAIFileServiceServicer):
    def __init__(self, openai: OpenAIFiles, uploads: UploadReader) -> None:
        self._openai = openai
        self._uploads = uploads

    async def CreateOpenAIFile(
        self, request_iterator: AsyncIterator[pb.CreateOpenAIFileRequest], context: CallContext
    ) -> HttpBody:
        def from_form(fields: Mapping[str, str], file_name: str, content_type: str, *, complete: bool) -> NewFile:
            if unkept := [name for name in fields if name.startswith("expires_after")]:
                raise InvalidInput(f"Files do not expire here. Leave {unkept[0]} out.", field="expires_after")
            asked = "purpose" in fields or complete
            id = openai_files.new_id()
            return NewFile(
                name=file_name or id,
                created_by=request_context.identity().subject,
                content_type=content_type,
                key=id,
                position=openai_files.position_in(id),
                purpose=openai_files.purpose(fields.get("purpose", "")) if asked else "",
            )

        project = request_context.identity().project
        file = await self._uploads.read(request_iterator, lambda first: self._openai.begin(project), from_form)
        return mapping_json.uploaded_openai_file(file)

    async def ListOpenAIFiles(
        self, request: pb.ListOpenAIFilesRequest, context: CallContext
    ) -> pb.ListOpenAIFilesResponse:
        files, more = await self._openai.list(
            request_context.identity().project,
            purpose=request.purpose,
            limit=request.limit or request.page_size,
            after=request.after or request.page_token,
            order=request.order,
        )
        return pb.ListOpenAIFilesResponse(
            object="list",
            data=await in_turns(mapping.openai_file, files),
            has_more=more,
            first_id=files[0].key if files else "",
            last_id=files[-1].key if files else "",
            next_page_token=files[-1].key if more else "",
        )

    async def GetOpenAIFile(self, request: pb.GetOpenAIFileRequest, context: CallContext) -> pb.GetOpenAIFileResponse:
        return mapping.got_openai_file(await self._openai.get(request_context.identity().project, request.file_id))

    async def DownloadOpenAIFile(
        self, request: pb.DownloadOpenAIFileRequest, context: CallContext
    ) -> AsyncIterator[HttpBody]:
        project = request_context.identity().project
        async for message in send(self._openai.files, project, OPENAI, request.file_id, ORIGINAL, context):
            yield message

    async def DeleteOpenAIFile(
        self, request: pb.DeleteOpenAIFileRequest, context: CallContext
    ) -> pb.DeleteOpenAIFileResponse:
        await self._openai.delete(request_context.identity().project, request.file_id)
        return pb.DeleteOpenAIFileResponse(id=request.file_id, object="file", deleted=True)
