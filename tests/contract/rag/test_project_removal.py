"""A deleted project leaves nothing here: records, contents in folders and in the tenant's own S3, sealed keys."""

import asyncio
from typing import Any
from uuid import uuid4

import grpc
import pytest
from structlog.testing import capture_logs

from core.storage.closed_projects import close_project
from core.tenancy import Project, Tenant
from portico.rag.v1 import bucket_service_pb2 as bucket_pb
from portico.rag.v1 import provider_service_pb2 as provider_pb
from services.rag.adapters.s3_limits import MAX_LISTED
from services.rag.domain.files.tables import BUCKETS, FILES, PROVIDERS
from tests.support.rag_client import FORM, RagClient
from tests.support.rag_harness import CODE, Harness, SlowForm, refused, s3_client, s3_provider, struct
from tests.support.removal import (
    MARKER,
    delete_project,
    files_with,
    gone_over,
    hurry,
    passes,
    records_of,
    removed,
)

COLLECTIONS = (PROVIDERS, BUCKETS, FILES)


@pytest.fixture
def s3_bucket(s3_endpoint: str) -> str:
    name = f"bucket-{uuid4().hex[:12]}"
    s3_client(s3_endpoint).create_bucket(Bucket=name)
    return name


def objects(endpoint: str, bucket: str) -> list[str]:
    return [each["Key"] for each in s3_client(endpoint).list_objects_v2(Bucket=bucket).get("Contents", [])]


async def fill(client: RagClient, endpoint: str, bucket: str) -> None:
    """Files in the folder and on S3, in buckets of its own."""
    provider = s3_provider(endpoint, bucket, metadata=struct({"note": MARKER}), description=MARKER)
    await client.call(client.providers.CreateFileProvider, provider)
    await client.call(
        client.buckets.CreateBucket, bucket_pb.CreateBucketRequest(name=MARKER, key="remote", provider_key="ours")
    )
    for number in range(3):
        await client.upload(f"{MARKER} {number}".encode(), keyHint=f"a{number}", metadata={"note": MARKER})
        await client.upload(f"{MARKER} {number}".encode(), bucket="remote", keyHint=f"b{number}")


async def test_everything_of_it_goes_and_nothing_of_another(harness: Harness, s3_endpoint: str, s3_bucket: str) -> None:
    """Files, contents and sealed keys stayed."""
    hurry(harness.running)
    for project in ("p1", "p2"):
        await fill(harness.client(project=project), s3_endpoint, s3_bucket)
    await delete_project(harness.running)
    await removed(harness.running)
    assert await records_of(harness.running, "acme", "p1", *COLLECTIONS) == 0
    assert await records_of(harness.running, "acme", "p2", *COLLECTIONS) == 2 + 2 + 6
    assert {path.relative_to(harness.folder / "files").parts[1] for path in harness.objects()} == {"p2"}
    assert {name.split("/")[1] for name in objects(s3_endpoint, s3_bucket)} == {"p2"}
    other = harness.client(project="p2")
    assert (await other.download("a1")).content == (await other.download("b1", "remote")).content


async def test_more_objects_go_than_one_list_names(harness: Harness, s3_endpoint: str, s3_bucket: str) -> None:
    hurry(harness.running)
    await fill(harness.client(), s3_endpoint, s3_bucket)
    for number in range(2 * MAX_LISTED):
        await harness.client().upload(b"content", bucket="remote", keyHint=f"c{number}")
    assert len(objects(s3_endpoint, s3_bucket)) > 2 * MAX_LISTED
    await delete_project(harness.running)
    await removed(harness.running)
    assert objects(s3_endpoint, s3_bucket) == []


async def test_not_a_byte_of_it_is_on_the_disk(harness: Harness, s3_endpoint: str, s3_bucket: str) -> None:
    """Rows that were deleted stayed in the database file."""
    hurry(harness.running)
    await fill(harness.client(), s3_endpoint, s3_bucket)
    assert files_with(harness.folder)
    await delete_project(harness.running)
    await removed(harness.running)
    assert files_with(harness.folder) == []


@pytest.mark.parametrize("bucket", ["default", "remote"])
async def test_an_upload_that_is_under_way_is_refused_and_leaves_nothing(
    harness: Harness, s3_endpoint: str, s3_bucket: str, bucket: str
) -> None:
    hurry(harness.running)
    client, form = harness.client(), SlowForm()
    await fill(client, s3_endpoint, s3_bucket)
    upload = client.start_upload(form.chunks(), FORM, bucket)
    async with asyncio.timeout(20):
        while not await harness.upload_intents():
            await asyncio.sleep(0.01)
    await delete_project(harness.running)
    await gone_over(harness.running, 3)
    assert (
        await records_of(harness.running, "acme", "p1", PROVIDERS) == 2
    )  # the upload needs its own to take itself back
    form.on.set()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await upload
    assert caught.value.code() in (CODE.NOT_FOUND, CODE.UNAVAILABLE)  # the bucket is gone, or the folder is
    await removed(harness.running)
    assert await records_of(harness.running, "acme", "p1", *COLLECTIONS) == 0
    assert harness.objects() == []
    assert objects(s3_endpoint, s3_bucket) == []


@pytest.mark.parametrize("what", ["provider", "bucket", "list", "upload"])
async def test_nothing_begins_in_a_deleted_project(harness: Harness, what: str) -> None:
    """Its token is refused by now, but a call may be under way: a provider that it made stayed, with its keys."""
    await close_project(harness.running.platform.store, Project(Tenant("acme"), "p1"))
    client = harness.client()
    calls: dict[str, Any] = {
        "provider": lambda: client.call(
            client.providers.CreateFileProvider, provider_pb.CreateFileProviderRequest(driver="local", label="l")
        ),
        "bucket": lambda: client.call(client.buckets.CreateBucket, bucket_pb.CreateBucketRequest(name="b")),
        "list": lambda: client.call(client.buckets.ListBuckets, bucket_pb.ListBucketsRequest()),
        "upload": lambda: client.upload(b"x"),
    }
    error = await refused(calls[what](), CODE.NOT_FOUND)
    assert error.reason == "PROJECT_DELETED"
    assert await records_of(harness.running, "acme", "p1", *COLLECTIONS) == 0
    assert harness.objects() == []


async def test_a_provider_that_refuses_is_tried_again(harness: Harness, s3_endpoint: str, s3_bucket: str) -> None:
    hurry(harness.running)
    await fill(harness.client(), s3_endpoint, s3_bucket)
    s3 = s3_client(s3_endpoint)
    kept = {name: s3.get_object(Bucket=s3_bucket, Key=name)["Body"].read() for name in objects(s3_endpoint, s3_bucket)}
    for name in kept:
        s3.delete_object(Bucket=s3_bucket, Key=name)
    s3.delete_bucket(Bucket=s3_bucket)
    await delete_project(harness.running)
    await gone_over(harness.running, 3)
    assert not (await passes(harness.running))[1]
    assert await records_of(harness.running, "acme", "p1", PROVIDERS) == 2
    s3.create_bucket(Bucket=s3_bucket)
    for name, content in kept.items():
        s3.put_object(Bucket=s3_bucket, Key=name, Body=content)
    await removed(harness.running)
    assert objects(s3_endpoint, s3_bucket) == []
    assert await records_of(harness.running, "acme", "p1", *COLLECTIONS) == 0


async def test_a_provider_that_goes_on_refusing_loses_its_keys_here_and_is_told_of(
    harness: Harness, s3_endpoint: str, s3_bucket: str
) -> None:
    hurry(harness.running, patience=0.0)
    await fill(harness.client(), s3_endpoint, s3_bucket)
    s3 = s3_client(s3_endpoint)
    for name in objects(s3_endpoint, s3_bucket):
        s3.delete_object(Bucket=s3_bucket, Key=name)
    s3.delete_bucket(Bucket=s3_bucket)
    with capture_logs() as told:
        await delete_project(harness.running)
        await removed(harness.running)
    assert await records_of(harness.running, "acme", "p1", *COLLECTIONS) == 0
    assert files_with(harness.folder) == []
    (line,) = [each for each in told if each["event"].startswith("files of a deleted project")]
    assert (line["log_level"], line["project"], line["provider"]) == ("error", "p1", "ours")


async def test_a_provider_stays_while_deleted_files_wait_to_be_removed_from_it(
    harness: Harness, s3_endpoint: str, s3_bucket: str
) -> None:
    """With the provider their contents stayed in it for ever, where nobody knew of them any more."""
    client = harness.client()
    await fill(client, s3_endpoint, s3_bucket)
    s3 = s3_client(s3_endpoint)
    names = objects(s3_endpoint, s3_bucket)
    for name in names:
        s3.delete_object(Bucket=s3_bucket, Key=name)
    s3.delete_bucket(Bucket=s3_bucket)  # so that S3 refuses
    for number in range(3):
        await client.delete(f"b{number}", "remote")
    await client.call(client.buckets.DeleteBucket, bucket_pb.DeleteBucketRequest(bucket_key="remote"))
    deletion = provider_pb.DeleteFileProviderRequest(provider_key="ours")
    error = await refused(client.call(client.providers.DeleteFileProvider, deletion), CODE.FAILED_PRECONDITION)
    assert (error.reason, "being removed" in error.message) == ("PROVIDER_IN_USE", True)
