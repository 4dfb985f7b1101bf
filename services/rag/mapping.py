"""Conversion between the contract's messages and the domain's values. Pure."""

from collections.abc import Mapping

from core.providers.records import Provider
from core.rpc.provider_messages import driver_fields, provider_fields
from core.rpc.values import small_json_of, struct_of, timestamp_of
from portico.rag.v1 import bucket_service_pb2, file_service_pb2, provider_service_pb2
from services.rag.domain.files.buckets import Bucket, NewBucket
from services.rag.domain.files.records import File
from services.rag.domain.files.rules import Rules
from services.rag.ports import FileDriver


def capabilities(driver: FileDriver, rules: Rules) -> provider_service_pb2.FileCapabilities:
    return provider_service_pb2.FileCapabilities(max_file_bytes=min(driver.max_object_bytes, rules.max_bytes))


def driver(value: FileDriver, rules: Rules) -> provider_service_pb2.FileDriver:
    return provider_service_pb2.FileDriver(**driver_fields(value), capabilities=capabilities(value, rules))


def provider(record: Provider, drivers: Mapping[str, FileDriver], rules: Rules) -> provider_service_pb2.FileProvider:
    able = capabilities(drivers[record.driver], rules)
    return provider_service_pb2.FileProvider(**provider_fields(record), capabilities=able)


def bucket(record: Bucket) -> bucket_service_pb2.Bucket:
    return bucket_service_pb2.Bucket(
        id=record.id,
        record_id=record.id,
        key=record.key,
        name=record.name,
        description=record.description,
        provider_key=record.provider_key,
        provider=record.provider_key,
        prefix=record.prefix,
        status="active",
        metadata=struct_of(record.metadata),
        created_at=timestamp_of(record.created_at),
        updated_at=timestamp_of(record.updated_at),
    )


def new_bucket(request: bucket_service_pb2.CreateBucketRequest) -> NewBucket:
    return NewBucket(
        name=request.name,
        key=request.key,
        description=request.description,
        provider_key=request.provider_key,
        prefix=request.prefix,
        metadata=small_json_of(request.metadata, "metadata"),
    )


def file(record: File, markdown: str = "") -> file_service_pb2.File:
    return file_service_pb2.File(
        id=record.id,
        record_id=record.id,
        key=record.key,
        bucket_key=record.bucket_key,
        provider_key=record.provider_key,
        name=record.name,
        file_name=record.name,
        size=record.size,
        content_type=record.content_type,
        checksum=record.checksum,
        etag=record.etag,
        metadata=struct_of(record.metadata),
        markdown_status=record.markdown.status,
        markdown_error=record.markdown.error,
        markdown_size=record.markdown.size,
        markdown_content=markdown,
        created_by=record.created_by,
        created_at=timestamp_of(record.created_at),
        updated_at=timestamp_of(record.updated_at),
    )


def openai_file(record: File) -> file_service_pb2.OpenAIFile:
    return file_service_pb2.OpenAIFile(
        id=record.key,
        object="file",
        bytes=record.size,
        created_at=int(record.created_at),
        filename=record.name,
        purpose=record.purpose,
        status="processed",
    )


def got_openai_file(record: File) -> file_service_pb2.GetOpenAIFileResponse:
    return file_service_pb2.GetOpenAIFileResponse(
        id=record.key,
        object="file",
        bytes=record.size,
        created_at=int(record.created_at),
        filename=record.name,
        purpose=record.purpose,
        status="processed",
    )
