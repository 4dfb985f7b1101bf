"""The rag service on a real server and store, for its tests."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # it comes without types
import grpc
import pytest
from google.protobuf.struct_pb2 import Struct

from core.tenancy import MAIN
from portico.rag.v1 import provider_service_pb2 as provider_pb
from services.rag.domain.files.tables import UPLOAD_INTENTS
from tests.support import serving
from tests.support.auth_service import Refused
from tests.support.rag_client import (
    FILE_END,
    FORM_END,
    RagClient,
    field,
    file_head,
    objects_in,
)

CODE = grpc.StatusCode
MIB = 1024 * 1024


class Harness(serving.Harness):
    def client(self, tenant: str = "acme", project: str = "p1", **claims: Any) -> RagClient:
        return RagClient(self.channel, self.signer.token(tenant=tenant, project=project, **claims))

    def objects(self) -> list[Path]:
        """All files in the file store's folder."""
        return objects_in(self.folder)

    async def upload_intents(self) -> int:
        store = self.running.platform.store
        return await store.count(MAIN, UPLOAD_INTENTS)


@dataclass
class SlowForm:
    """A form whose sender stops in the middle of the file, until told to go on."""

    size: int = 2 * MIB
    key: str = "slow.bin"

    def __post_init__(self) -> None:
        self.on = asyncio.Event()

    async def chunks(self) -> AsyncIterator[bytes]:
        yield field("keyHint", self.key) + file_head("slow.bin")
        for _ in range(self.size // 65536):
            yield b"x" * 65536
        await self.on.wait()
        yield b"end" + FILE_END + FORM_END


async def outcome(call: Any) -> str:
    """Return the outcome of a call that may have been cancelled."""
    try:
        await call
    except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
        return error.code().name if isinstance(error, grpc.aio.AioRpcError) else "CANCELLED"
    return "OK"


async def refused(awaitable: Any, code: grpc.StatusCode, named: str | None = None, http: int = 0) -> Refused:
    with pytest.raises(Refused) as caught:
        await awaitable
    error = caught.value
    assert error.code is code, error
    if named is not None:
        assert error.field == named, error
    if http:
        assert error.trailing["x-http-status"] == str(http), error
    return error


def struct(values: dict[str, Any]) -> Struct:
    made = Struct()
    made.update(values)
    return made


def s3_provider(endpoint: str, bucket: str = "tenants", **more: Any) -> provider_pb.CreateFileProviderRequest:
    given: dict[str, Any] = {"driver": "s3", "label": "Our S3", "key": "ours"}
    credentials = struct({"accessKeyId": "id", "secretAccessKey": "hush-hush"})
    settings = struct({"bucket": bucket, "endpoint": endpoint})
    return provider_pb.CreateFileProviderRequest(**{**given, "credentials": credentials, "settings": settings, **more})


def s3_client(endpoint: str) -> Any:
    return boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s"
    )
