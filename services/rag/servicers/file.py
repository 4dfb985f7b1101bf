"""FileService, and FileRestService for the same records over REST."""

from collections.abc import AsyncIterator, Mapping

from google.api.httpbody_pb2 import HttpBody

from core import context as request_context
from core.offload import in_turns
from core.rpc.call import CallContext
from portico.rag.v1 import file_rest_service_pb2 as rest_pb
from portico.rag.v1 import file_rest_service_pb2_grpc, file_service_pb2_grpc
from portico.rag.v1 import file_service_pb2 as pb
from services.rag import mapping, mapping_json
from services.rag.domain.files.files import ORIGINAL, Files
from services.rag.domain.files.records import File
from services.rag.domain.files.uploads import NewFile
from services.rag.servicers import bodies
from services.rag.servicers.bodies import Json
from services.rag.servicers.sending import send
from services.rag.servicers.uploads import UploadReader

_NAMELESS = "file"


class FileServicer(file_service_pb2_grpc.FileServiceServicer):
    def __init__(self, files: Files, uploads: UploadReader) -> None:
        self._files = files
        self._uploads = uploads

    async def ListFiles(self, request: pb.ListFilesRequest, context: CallContext) -> pb.ListFilesResponse:
        files, cursor = await _page(self._files, request)
        return pb.ListFilesResponse(
            files=await in_turns(mapping.file, files),
            count=len(files),
            next_cursor=cursor or None,
            next_page_token=cursor,
        )

    async def GetFile(self, request: pb.GetFileRequest, context: CallContext) -> pb.GetFileResponse:
        project = request_context.identity().project
        file = await self._files.get(project, request.bucket_key, request.object_key)
        return pb.GetFileResponse(file=mapping.file(file, await self._files.markdown_text(project, file)))

    async def DeleteFile(self, request: pb.DeleteFileRequest, context: CallContext) -> pb.DeleteFileResponse:
        await self._files.delete(request_context.identity().project, request.bucket_key, request.object_key)
        return pb.DeleteFileResponse(
            message="The file was deleted.", bucket_key=request.bucket_key, object_key=request.object_key
        )

    async def UploadFile(self, request_iterator: AsyncIterator[pb.UploadFileRequest], context: CallContext) -> HttpBody:
        project = request_context.identity().project
        file = await self._uploads.read(
            request_iterator, lambda first: self._files.begin(project, first.bucket_key), _from_form, _from_json
        )
        return mapping_json.uploaded(file)

    async def DownloadFile(self, request: pb.DownloadFileRequest, context: CallContext) -> AsyncIterator[HttpBody]:
        project = request_context.identity().project
        variant = request.variant or ORIGINAL
        async for message in send(self._files, project, request.bucket_key, request.object_key, variant, context):
            yield message

    async def ConvertFile(self, request: pb.ConvertFileRequest, context: CallContext) -> pb.ConvertFileResponse:
        file = await self._files.convert(request_context.identity().project, request.bucket_key, request.object_key)
        return pb.ConvertFileResponse(file=mapping.file(file))


class FileRestServicer(file_rest_service_pb2_grpc.FileRestServiceServicer):
    def __init__(self, files: Files) -> None:
        self._files = files

    async def ListObjects(self, request: rest_pb.ListObjectsRequest, context: CallContext) -> HttpBody:
        files, cursor = await _page(self._files, request)
        return mapping_json.page(await in_turns(mapping_json.file, files), cursor)

    async def GetObject(self, request: rest_pb.GetObjectRequest, context: CallContext) -> HttpBody:
        project = request_context.identity().project
        file = await self._files.get(project, request.bucket_key, request.object_key)
        return mapping_json.one(file, await self._files.markdown_text(project, file))

    async def ConvertObject(self, request: rest_pb.ConvertObjectRequest, context: CallContext) -> HttpBody:
        file = await self._files.convert(request_context.identity().project, request.bucket_key, request.object_key)
        return mapping_json.one(file)


async def _page(files: Files, request: pb.ListFilesRequest | rest_pb.ListObjectsRequest) -> tuple[list[File], str]:
    return await files.list(
        request_context.identity().project,
        request.bucket_key,
        search=request.search,
        size=request.limit or request.page_size,
        cursor=request.cursor or request.page_token,
    )


def _from_form(fields: Mapping[str, str], file_name: str, content_type: str, *, complete: bool) -> NewFile:
    return NewFile(
        name=fields.get("fileName") or file_name or _NAMELESS,
        created_by=request_context.identity().subject,
        content_type=fields.get("contentType") or content_type,
        key=fields.get("keyHint", ""),
        metadata=bodies.metadata(fields.get("metadata", "")),
        convert=bodies.flag("convertToMarkdown", fields.get("convertToMarkdown", "")),
    )


def _from_json(body: Json, named_type: str) -> NewFile:
    return NewFile(
        name=body.file_name,
        created_by=request_context.identity().subject,
        content_type=body.content_type or named_type,
        key=body.key_hint or "",
        metadata=bodies.metadata(body.metadata),
        convert=bool(body.convert_to_markdown),
    )
