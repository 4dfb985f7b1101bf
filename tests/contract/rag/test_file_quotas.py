"""Quotas of files, knowledge and memory."""

import pytest

from portico.rag.v1 import bucket_service_pb2 as bucket_pb
from portico.rag.v1 import file_service_pb2 as file_pb
from portico.rag.v1 import memory_service_pb2 as memory_pb
from portico.rag.v1 import memory_service_pb2_grpc
from tests.support.auth_service import Refused
from tests.support.policies import set_policy
from tests.support.rag_client import RagClient
from tests.support.rag_harness import CODE, Harness


@pytest.fixture
def client(harness: Harness) -> RagClient:
    return harness.client()


async def limit(harness: Harness, name: str, value: int, domain: str = "global") -> None:
    await set_policy(harness.running.platform, {name: value}, domain=domain)


async def test_a_file_may_have_so_many_bytes(harness: Harness, client: RagClient) -> None:
    await limit(harness, "perRequest.maxFileSize", 3)
    with pytest.raises(Refused) as refused:
        await client.upload(b"1234")
    assert (refused.value.code, refused.value.field) == (CODE.INVALID_ARGUMENT, "file")
    await client.upload(b"123")
    assert len(await client.keys()) == 1


async def test_bytes_over_time_are_counted_when_they_are_stored(harness: Harness, client: RagClient) -> None:
    await limit(harness, "rateLimit.storage.perDay", 5)
    await client.upload(b"1234")
    with pytest.raises(Refused) as refused:
        await client.upload(b"12")
    assert refused.value.code is CODE.RESOURCE_EXHAUSTED
    await client.upload(b"1")


async def test_a_file_that_is_replaced_is_one_file(harness: Harness, client: RagClient) -> None:
    await limit(harness, "quotas.maxFilesTotal", 1)
    await limit(harness, "quotas.maxStorageBytes", 4)
    await client.upload(b"1", keyHint="a")
    await client.upload(b"1234", keyHint="a")
    for content, key in ((b"12345", "a"), (b"", "b")):
        with pytest.raises(Refused) as refused:
            await client.upload(content, keyHint=key)
        assert (refused.value.code, refused.value.reason) == (CODE.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED")
    await client.delete("a")
    await client.upload(b"1", keyHint="b")


async def test_the_files_of_all_projects_count_for_the_tenant(harness: Harness, client: RagClient) -> None:
    await limit(harness, "quotas.maxFilesTotal", 1)
    await client.upload(b"1")
    with pytest.raises(Refused):
        await harness.client(project="p2").upload(b"1")
    await harness.client(tenant="globex").upload(b"1")


async def test_buckets(harness: Harness, client: RagClient) -> None:
    await client.keys()  # makes the default one
    await limit(harness, "quotas.maxFileBuckets", 1)
    with pytest.raises(Refused) as refused:
        await client.call(client.buckets.CreateBucket, bucket_pb.CreateBucketRequest(name="More"))
    assert refused.value.reason == "QUOTA_EXCEEDED"


async def test_calls_of_each_domain_are_counted_by_themselves(harness: Harness, client: RagClient) -> None:
    """Knowledge and memory had no quotas in the system that this API comes from."""
    memories = memory_service_pb2_grpc.MemoryServiceStub(harness.channel)
    await limit(harness, "rateLimit.requests.perDay", 1, "memory")
    listing = memory_pb.ListMemoryStoresRequest()
    await client.call(memories.ListMemoryStores, listing)
    with pytest.raises(Refused) as refused:
        await client.call(memories.ListMemoryStores, listing)
    assert refused.value.code is CODE.RESOURCE_EXHAUSTED
    await client.call(client.files.ListFiles, file_pb.ListFilesRequest(bucket_key="default"))
