"""Buckets, the providers in which they lie, and S3."""

import asyncio
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct

from portico.rag.v1 import bucket_service_pb2 as bucket_pb
from portico.rag.v1 import provider_service_pb2 as provider_pb
from tests.support.rag_client import (
    FORM,
    RagClient,
    served,
)
from tests.support.rag_harness import CODE, MIB, Harness, SlowForm, outcome, refused, s3_client, s3_provider, struct
from tests.support.serving import connect
from tests.support.tokens import Signer
from tests.support.waiting import until

pytestmark = pytest.mark.each_store


async def test_every_project_has_the_default_bucket_and_provider(client: RagClient) -> None:
    page = await client.call(client.buckets.ListBuckets, bucket_pb.ListBucketsRequest())
    assert [bucket.key for bucket in page.buckets] == ["default"]
    assert page.count == 1
    bucket = (await client.call(client.buckets.GetBucket, bucket_pb.GetBucketRequest(bucket_key="default"))).bucket
    assert bucket == page.buckets[0]
    assert (bucket.provider, bucket.provider_key, bucket.status) == ("default", "default", "active")
    assert bucket.id == bucket.record_id
    listed = await client.call(client.providers.ListFileProviders, provider_pb.ListFileProvidersRequest())
    assert [(each.key, each.driver, each.has_credentials) for each in listed.providers] == [("default", "local", False)]


async def test_providers_and_drivers_tell_the_largest_file(tmp_path: Path, signer: Signer, s3_endpoint: str) -> None:
    """The lower one of the installation's limit and the file store's: S3 takes a number of parts."""
    async with (
        served(tmp_path, signer, PORTICO_FILES_MAX_MB="81920") as running,
        connect(running.port) as channel,
    ):
        client = RagClient(channel, signer.token(tenant="acme", project="p1"))
        drivers = await client.call(client.providers.ListFileDrivers, provider_pb.ListFileDriversRequest())
        made = await client.call(client.providers.CreateFileProvider, s3_provider(s3_endpoint))
        listed = await client.call(client.providers.ListFileProviders, provider_pb.ListFileProvidersRequest())
    expected = {"local": 81920 * MIB, "s3": 80000 * MIB}
    assert {each.id: each.capabilities.max_file_bytes for each in drivers.drivers} == expected
    assert {each.driver: each.capabilities.max_file_bytes for each in listed.providers} == expected
    assert made.provider.capabilities.max_file_bytes == expected["s3"]


async def test_lists_that_ask_for_no_page_are_complete(client: RagClient) -> None:
    """`files.buckets.list()` and `files.providers.list()` of @cognipeer/console-sdk have no page, and gave 50."""
    keys = [f"key-{number}" for number in range(52)]
    for key in keys:
        provider = provider_pb.CreateFileProviderRequest(driver="local", label="Mine", key=key)
        await client.call(client.providers.CreateFileProvider, provider)
        await client.call(client.buckets.CreateBucket, bucket_pb.CreateBucketRequest(name="Mine", key=key))
    buckets = await client.call(client.buckets.ListBuckets, bucket_pb.ListBucketsRequest())
    assert {each.key for each in buckets.buckets} == {"default", *keys}
    assert (buckets.count, buckets.next_page_token) == (53, "")
    providers = await client.call(client.providers.ListFileProviders, provider_pb.ListFileProvidersRequest())
    assert {each.key for each in providers.providers} == {"default", *keys}
    assert providers.next_page_token == ""


async def test_the_default_is_made_once_however_many_ask(harness: Harness) -> None:
    client = harness.client(project="fresh")
    request = bucket_pb.GetBucketRequest(bucket_key="default")
    answers = await asyncio.gather(*(client.call(client.buckets.GetBucket, request) for _ in range(20)))
    assert len({answer.bucket.id for answer in answers}) == 1


async def test_buckets(client: RagClient) -> None:
    metadata = Struct()
    metadata.update({"a": 1})
    request = bucket_pb.CreateBucketRequest(name="My Docs", description="d", prefix="in/2024/", metadata=metadata)
    made = (await client.call(client.buckets.CreateBucket, request)).bucket
    assert (made.key, made.name, made.description, made.prefix) == ("my-docs", "My Docs", "d", "in/2024")
    assert (await client.call(client.buckets.CreateBucket, request)).bucket.key == "my-docs-2"
    listed = await client.call(client.buckets.ListBuckets, bucket_pb.ListBucketsRequest())
    assert {each.key for each in listed.buckets} == {"default", "my-docs", "my-docs-2"}
    file = await client.upload(b"x", "n.txt", "my-docs")
    assert file["key"].startswith("in/2024/n-")
    assert await client.keys() == []
    delete = bucket_pb.DeleteBucketRequest(bucket_key="my-docs")
    await refused(client.call(client.buckets.DeleteBucket, delete), CODE.FAILED_PRECONDITION, http=409)
    await client.upload(b"x", "n.txt", "my-docs")
    for key in await client.keys("my-docs"):
        await client.delete(key, "my-docs")
    assert (await client.call(client.buckets.DeleteBucket, delete)).success
    await refused(client.keys("my-docs"), CODE.NOT_FOUND, "bucketKey", http=404)
    await refused(client.upload(b"x", bucket="my-docs"), CODE.NOT_FOUND, "bucketKey", http=404)
    await refused(client.call(client.buckets.DeleteBucket, delete), CODE.NOT_FOUND, "bucketKey")


async def test_a_bucket_made_again_is_another_one(client: RagClient) -> None:
    create = bucket_pb.CreateBucketRequest(name="b", key="b")
    one = (await client.call(client.buckets.CreateBucket, create)).bucket
    await refused(client.call(client.buckets.CreateBucket, create), CODE.ALREADY_EXISTS, "key", http=409)
    await client.call(client.buckets.DeleteBucket, bucket_pb.DeleteBucketRequest(bucket_key="b"))
    assert (await client.call(client.buckets.CreateBucket, create)).bucket.id != one.id


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"name": ""}, CODE.INVALID_ARGUMENT, "name"),
        ({"name": "x" * 201}, CODE.INVALID_ARGUMENT, "name"),
        ({"name": "b", "key": "No Key"}, CODE.INVALID_ARGUMENT, "key"),
        ({"name": "b", "key": "x" * 65}, CODE.INVALID_ARGUMENT, "key"),
        ({"name": "b", "key": "default"}, CODE.ALREADY_EXISTS, "key"),
        ({"name": "b", "description": "x" * 2001}, CODE.INVALID_ARGUMENT, "description"),
        ({"name": "b", "prefix": "../x"}, CODE.INVALID_ARGUMENT, "prefix"),
        ({"name": "b", "prefix": "x" * 201}, CODE.INVALID_ARGUMENT, "prefix"),
        ({"name": "b", "provider_key": "nobodys"}, CODE.NOT_FOUND, "providerKey"),
    ],
)
async def test_buckets_that_cannot_be_made(
    client: RagClient, given: dict[str, Any], code: grpc.StatusCode, field: str
) -> None:
    await refused(client.call(client.buckets.CreateBucket, bucket_pb.CreateBucketRequest(**given)), code, field)


async def test_the_defaults_stay(client: RagClient) -> None:
    bucket = bucket_pb.DeleteBucketRequest(bucket_key="default")
    await refused(client.call(client.buckets.DeleteBucket, bucket), CODE.FAILED_PRECONDITION)
    provider = provider_pb.DeleteFileProviderRequest(provider_key="default")
    await refused(client.call(client.providers.DeleteFileProvider, provider), CODE.FAILED_PRECONDITION)


async def test_drivers(client: RagClient) -> None:
    answer = await client.call(client.providers.ListFileDrivers, provider_pb.ListFileDriversRequest())
    drivers = {each.id: each for each in answer.drivers}
    assert set(drivers) == {"local", "s3"}
    assert {field.name for field in drivers["s3"].fields if field.required} == {
        "accessKeyId",
        "secretAccessKey",
        "bucket",
    }
    assert {field.scope for field in drivers["s3"].fields} == {"credentials", "settings"}


async def test_files_in_s3(client: RagClient, harness: Harness, s3_endpoint: str) -> None:
    s3 = s3_client(s3_endpoint)
    s3.create_bucket(Bucket="tenants")
    provider = (await client.call(client.providers.CreateFileProvider, s3_provider(s3_endpoint))).provider
    assert provider.has_credentials
    assert "hush" not in str(provider)
    await client.call(
        client.buckets.CreateBucket, bucket_pb.CreateBucketRequest(name="Far", key="far", provider_key="ours")
    )
    content = os.urandom(20 * MIB)
    file = await client.upload_form(content, "big.bin", "far", keyHint="big")
    assert file["providerKey"] == "ours"
    assert (await client.download("big", "far")).content == content
    assert (await client.download("big", "far", range="bytes=-5")).content == content[-5:]
    await client.upload(b"small", bucket="far", keyHint="big")
    assert (await client.download("big", "far")).content == b"small"
    assert harness.objects() == []
    assert len(s3.list_objects_v2(Bucket="tenants")["Contents"]) == 1
    delete = provider_pb.DeleteFileProviderRequest(provider_key="ours")
    await refused(client.call(client.providers.DeleteFileProvider, delete), CODE.FAILED_PRECONDITION, http=409)
    await client.delete("big", "far")
    assert "Contents" not in s3.list_objects_v2(Bucket="tenants")
    await client.call(client.buckets.DeleteBucket, bucket_pb.DeleteBucketRequest(bucket_key="far"))
    assert (await client.call(client.providers.DeleteFileProvider, delete)).success


async def test_a_cancelled_upload_leaves_no_parts_in_s3(client: RagClient, s3_endpoint: str) -> None:
    s3 = s3_client(s3_endpoint)
    s3.create_bucket(Bucket="broken-off")
    await client.call(client.providers.CreateFileProvider, s3_provider(s3_endpoint, bucket="broken-off"))
    await client.call(
        client.buckets.CreateBucket, bucket_pb.CreateBucketRequest(name="Far", key="far", provider_key="ours")
    )
    call = client.start_upload(SlowForm(12 * MIB).chunks(), FORM, "far")
    waiting = asyncio.ensure_future(outcome(call))
    await until(lambda: s3.list_multipart_uploads(Bucket="broken-off").get("Uploads"))
    call.cancel()
    await waiting
    await until(lambda: not s3.list_multipart_uploads(Bucket="broken-off").get("Uploads"))
    assert "Contents" not in s3.list_objects_v2(Bucket="broken-off")


async def test_credentials_are_sealed_and_never_come_out(client: RagClient, harness: Harness, s3_endpoint: str) -> None:
    await client.call(client.providers.CreateFileProvider, s3_provider(s3_endpoint))
    listed = await client.call(client.providers.ListFileProviders, provider_pb.ListFileProvidersRequest())
    assert "hush-hush" not in str(listed)
    assert all(b"hush-hush" not in path.read_bytes() for path in harness.folder.glob("*.sqlite*"))


async def test_providers_are_listed_by_status_and_driver(client: RagClient, s3_endpoint: str) -> None:
    await client.call(client.providers.CreateFileProvider, s3_provider(s3_endpoint, status="disabled", key=""))

    async def keys(**given: Any) -> list[str]:
        request = provider_pb.ListFileProvidersRequest(**given)
        return [each.key for each in (await client.call(client.providers.ListFileProviders, request)).providers]

    assert set(await keys()) == {"our-s3", "default"}
    assert await keys(status="disabled") == ["our-s3"]
    assert await keys(driver="local") == ["default"]
    bucket = bucket_pb.CreateBucketRequest(name="b", provider_key="our-s3")
    await refused(client.call(client.buckets.CreateBucket, bucket), CODE.FAILED_PRECONDITION, "providerKey")


async def test_a_provider_is_changed_and_the_next_call_goes_where_it_leads(client: RagClient, s3_endpoint: str) -> None:
    s3, unique = s3_client(s3_endpoint), uuid4().hex
    old, new = f"old-{unique}", f"new-{unique}"
    for name in (old, new):
        s3.create_bucket(Bucket=name)
    await client.call(client.providers.CreateFileProvider, s3_provider(s3_endpoint, old))
    await client.call(
        client.buckets.CreateBucket, bucket_pb.CreateBucketRequest(name="Far", key="far", provider_key="ours")
    )
    await client.upload(b"here", bucket="far", keyHint="a")

    async def change(**given: Any) -> provider_pb.FileProvider:
        request = provider_pb.UpdateFileProviderRequest(provider_key="ours", **given)
        answer: provider_pb.UpdateFileProviderResponse = await client.call(client.providers.UpdateFileProvider, request)
        return answer.provider

    renewed = await change(credentials=struct({"secretAccessKey": "other"}), label="Renewed")
    assert (renewed.label, renewed.has_credentials, renewed.settings["bucket"]) == ("Renewed", True, old)
    assert (await client.download("a", "far")).content == b"here"
    after = struct({"bucket": new, "endpoint": s3_endpoint})
    await refused(change(settings=after), CODE.INVALID_ARGUMENT, "credentials.accessKeyId")
    both = struct({"accessKeyId": "id", "secretAccessKey": "other"})
    await change(settings=after, credentials=both)
    await refused(client.download("a", "far"), CODE.UNAVAILABLE)
    await client.upload(b"there", bucket="far", keyHint="b")
    assert len(s3.list_objects_v2(Bucket=new)["Contents"]) == 1
    await change(status="disabled")
    await refused(client.upload(b"x", bucket="far"), CODE.FAILED_PRECONDITION)
    got = await client.call(client.providers.GetFileProvider, provider_pb.GetFileProviderRequest(provider_key="ours"))
    assert got.provider.status == "disabled"
    await refused(change(credentials=struct({"accessKeyId": ""})), CODE.INVALID_ARGUMENT, "credentials.accessKeyId")
    await refused(change(settings=struct({"bucket": "../x"})), CODE.INVALID_ARGUMENT, "settings.bucket")
    before = struct({"bucket": old, "endpoint": s3_endpoint})
    await change(status="active", settings=before, credentials=both)
    assert (await client.download("a", "far")).content == b"here"


def _without(name: str) -> Struct:
    given = {"accessKeyId": "id", "secretAccessKey": "x"}
    return struct({key: value for key, value in given.items() if key != name})


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"driver": "ftp"}, "driver"),
        ({"label": ""}, "label"),
        ({"key": "No"}, "key"),
        ({"status": "maybe"}, "status"),
        ({"credentials": _without("accessKeyId")}, "credentials.accessKeyId"),
        ({"credentials": struct({"accessKeyId": "a", "secretAccessKey": "b", "x": "y"})}, "credentials.x"),
        ({"settings": struct({})}, "settings.bucket"),
        ({"settings": struct({"bucket": "../x"})}, "settings.bucket"),
        ({"settings": struct({"bucket": "b-1", "region": "evil.com/"})}, "settings.region"),
        ({"settings": struct({"bucket": "b-1", "endpoint": "ftp://x"})}, "settings.endpoint"),
        ({"settings": struct({"bucket": "b-1", "endpoint": "http://user:x@127.0.0.1"})}, "settings.endpoint"),
        ({"settings": struct({"bucket": "b-1", "endpoint": "http://169.254.169.254"})}, "settings.endpoint"),
        ({"settings": struct({"bucket": "b-1", "endpoint": "http://[::1]:9"})}, "settings.endpoint"),
        ({"settings": struct({"bucket": "b-1", "prefix": "../x"})}, "settings.prefix"),
        ({"settings": struct({"bucket": "b-1", "usePathStyleEndpoint": "perhaps"})}, "settings.usePathStyleEndpoint"),
        ({"settings": struct({"bucket": ["b"]})}, "settings.bucket"),
    ],
)
async def test_providers_that_cannot_be_made(client: RagClient, more: dict[str, Any], field: str) -> None:
    request = s3_provider("http://127.0.0.1:9", **more)
    await refused(client.call(client.providers.CreateFileProvider, request), CODE.INVALID_ARGUMENT, field)


async def test_a_provider_that_cannot_be_reached(client: RagClient, harness: Harness) -> None:
    await client.call(client.providers.CreateFileProvider, s3_provider("http://127.0.0.1:9"))
    bucket = bucket_pb.CreateBucketRequest(name="Far", key="far", provider_key="ours")
    await client.call(client.buckets.CreateBucket, bucket)
    await refused(client.upload(b"x", bucket="far"), CODE.UNAVAILABLE, http=503)
    assert await client.keys("far") == []
    assert await harness.upload_intents() == 1, "what may lie at the provider is looked at later"
