"""A rag service on a port of its own, and a client that speaks to it as the edge does."""

import base64
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import orjson
from google.api.httpbody_pb2 import HttpBody

from core.app import Running
from portico.rag.v1 import (
    bucket_service_pb2_grpc,
    file_rest_service_pb2_grpc,
    file_service_pb2,
    file_service_pb2_grpc,
    provider_service_pb2_grpc,
)
from services.rag.app import serve
from services.rag.settings import Settings
from tests.support import serving
from tests.support.auth_service import Refused
from tests.support.tokens import Signer

BOUNDARY = "portico-boundary"
_EDGE_PIECE = 1024 * 1024
FORM = f"multipart/form-data; boundary={BOUNDARY}"


@asynccontextmanager
async def served(folder: Path, signer: Signer, **env: str) -> AsyncIterator[Running]:
    async with serving.served("rag", Settings, serve, folder, signer, **env) as running:
        yield running


def objects_in(folder: Path) -> list[Path]:
    """List all files in the data folder's file store, while folders come and go."""
    walked = os.walk(folder / "files")
    return [Path(at, name) for at, _, names in walked for name in names if name != ".probe"]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as the edge would write it."""

    status: int
    headers: dict[str, str]
    content_type: str
    content: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.content)


def field(name: str, value: str | bytes) -> bytes:
    content = value.encode() if isinstance(value, str) else value
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


def file_head(name: str = "a.txt", content_type: str = "text/plain") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    return f"{head}Content-Type: {content_type}\r\n\r\n".encode()


FILE_END = b"\r\n"
FORM_END = f"--{BOUNDARY}--\r\n".encode()


def form(content: bytes, name: str = "a.txt", content_type: str = "text/plain", **fields: str) -> bytes:
    parts = b"".join(field(key, value) for key, value in fields.items())
    return parts + file_head(name, content_type) + content + FILE_END + FORM_END


class RagClient:
    """One project's token on the service. Calls raise Refused."""

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        self.metadata = (("authorization", f"Bearer {token}"), *serving.REST)
        self.providers = provider_service_pb2_grpc.FileProviderServiceStub(channel)
        self.buckets = bucket_service_pb2_grpc.BucketServiceStub(channel)
        self.files = file_service_pb2_grpc.FileServiceStub(channel)
        self.records = file_rest_service_pb2_grpc.FileRestServiceStub(channel)
        self.openai = file_service_pb2_grpc.OpenAIFileServiceStub(channel)

    async def call(self, rpc: Any, request: Any) -> Any:
        try:
            return await rpc(request, metadata=self.metadata, timeout=60)
        except grpc.aio.AioRpcError as error:
            raise Refused(error) from None

    def start_upload(
        self, chunks: Iterable[bytes] | AsyncIterator[bytes], content_type: str, bucket: str = "default"
    ) -> Any:
        """The call itself. An empty bucket means OpenAI's files."""

        async def messages() -> AsyncIterator[Any]:
            said = content_type
            first = bucket
            async for chunk in _each(chunks):
                body = HttpBody(content_type=said, data=chunk)
                if bucket:
                    yield file_service_pb2.UploadFileRequest(bucket_key=first, body=body)
                else:
                    yield file_service_pb2.CreateOpenAIFileRequest(body=body)
                said = first = ""

        rpc = self.files.UploadFile if bucket else self.openai.CreateOpenAIFile
        return rpc(messages(), metadata=self.metadata, timeout=120)

    async def send(
        self, chunks: Iterable[bytes] | AsyncIterator[bytes], content_type: str = FORM, bucket: str = "default"
    ) -> Any:
        """The JSON of the answer."""
        call = self.start_upload(chunks, content_type, bucket)
        try:
            body = await call
        except grpc.aio.AioRpcError as error:
            raise Refused(error) from None
        assert body.content_type == "application/json"
        return orjson.loads(body.data)

    async def upload(self, content: bytes, name: str = "a.txt", bucket: str = "default", **more: Any) -> Any:
        """As JSON; the record."""
        body = {"fileName": name, "data": base64.b64encode(content).decode(), **more}
        answer = await self.send([orjson.dumps(body)], "application/json", bucket)
        assert answer["message"]
        return answer["file"]

    async def upload_form(self, content: bytes, name: str = "a.txt", bucket: str = "default", **fields: str) -> Any:
        return (await self.send([form(content, name, **fields)], bucket=bucket))["file"]

    async def get(self, key: str, bucket: str = "default") -> Any:
        request = file_service_pb2.GetFileRequest(bucket_key=bucket, object_key=key)
        return (await self.call(self.files.GetFile, request)).file

    async def delete(self, key: str, bucket: str = "default") -> Any:
        return await self.call(
            self.files.DeleteFile, file_service_pb2.DeleteFileRequest(bucket_key=bucket, object_key=key)
        )

    async def keys(self, bucket: str = "default", **more: Any) -> list[str]:
        """Of every page."""
        keys: list[str] = []
        cursor = ""
        while True:
            request = file_service_pb2.ListFilesRequest(bucket_key=bucket, cursor=cursor, **more)
            page = await self.call(self.files.ListFiles, request)
            assert page.count == len(page.files)
            keys += [file.key for file in page.files]
            cursor = page.next_cursor
            assert page.next_page_token == cursor
            if not cursor:
                return keys

    def start_download(self, key: str, bucket: str = "default", variant: str = "", **headers: str) -> Any:
        metadata = (*self.metadata, *((name.replace("_", "-"), value) for name, value in headers.items()))
        request = file_service_pb2.DownloadFileRequest(bucket_key=bucket, object_key=key, variant=variant)
        return self.files.DownloadFile(request, metadata=metadata, timeout=120)

    async def download(self, key: str, bucket: str = "default", variant: str = "", **headers: str) -> Reply:
        return await received(self.start_download(key, bucket, variant, **headers))


async def received(call: Any) -> Reply:
    try:
        messages = [message async for message in call]
    except grpc.aio.AioRpcError as error:
        raise Refused(error) from None
    head = dict(await call.initial_metadata())
    status = int(head.pop("x-http-status", 200))
    return Reply(status, head, messages[0].content_type, b"".join(each.data for each in messages))


async def _each(chunks: Iterable[bytes] | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """None longer than those that the edge makes."""
    if isinstance(chunks, AsyncIterator):
        async for chunk in chunks:
            for part in edge_pieces(chunk):
                yield part
    else:
        for chunk in chunks:
            for part in edge_pieces(chunk):
                yield part


def edge_pieces(content: bytes) -> Iterator[bytes]:
    """Cut as the edge cuts a body; an empty one is one chunk."""
    for at in range(0, max(1, len(content)), _EDGE_PIECE):
        yield content[at : at + _EDGE_PIECE]
