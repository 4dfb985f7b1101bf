"""Isolation of projects and tenants, and token scopes."""

from collections.abc import Callable
from typing import Any

import pytest

from portico.rag.v1 import bucket_service_pb2 as bucket_pb
from portico.rag.v1 import file_service_pb2 as file_pb
from portico.rag.v1 import provider_service_pb2 as provider_pb
from tests.support.rag_client import (
    RagClient,
    form,
)
from tests.support.rag_harness import CODE, Harness, refused, s3_provider


async def test_the_same_keys_in_two_projects_of_two_tenants(harness: Harness) -> None:
    clients = {
        (tenant, project): harness.client(tenant, project) for tenant in ("acme", "globex") for project in ("p1", "p2")
    }
    for name, client in clients.items():
        await client.call(client.buckets.CreateBucket, bucket_pb.CreateBucketRequest(name="b", key="b"))
        await client.upload(repr(name).encode(), keyHint="a", metadata={"who": repr(name)})
        await client.upload(repr(name).encode(), bucket="b", keyHint="a")
    for name, client in clients.items():
        assert await client.keys() == ["a"]
        assert (await client.get("a")).metadata["who"] == repr(name)
        assert (await client.download("a")).content == repr(name).encode()
        assert (await client.download("a", "b")).content == repr(name).encode()
    paths = {path.relative_to(harness.folder / "files").parts[:2] for path in harness.objects()}
    assert paths == set(clients)
    first = clients["acme", "p1"]
    await first.delete("a")
    await first.delete("a", "b")
    await first.call(first.buckets.DeleteBucket, bucket_pb.DeleteBucketRequest(bucket_key="b"))
    for name, client in list(clients.items())[1:]:
        assert (await client.download("a", "b")).content == repr(name).encode()
    assert len(harness.objects()) == 6


async def test_nothing_of_anothers_is_there(harness: Harness, s3_endpoint: str) -> None:
    owner = harness.client()
    await owner.call(owner.providers.CreateFileProvider, s3_provider(s3_endpoint))
    bucket = (await owner.call(owner.buckets.CreateBucket, bucket_pb.CreateBucketRequest(name="b", key="own"))).bucket
    file = await owner.upload(b"x", bucket="own", keyHint="a")
    openai = await owner.send([form(b"x", purpose="batch")], bucket="")
    listed = await owner.call(owner.providers.ListFileProviders, provider_pb.ListFileProvidersRequest())
    provider_id = next(each.id for each in listed.providers if each.key == "ours")
    for stranger in (harness.client(project="p2"), harness.client("globex")):
        for key in ("own", bucket.id):
            request = bucket_pb.GetBucketRequest(bucket_key=key)
            await refused(stranger.call(stranger.buckets.GetBucket, request), CODE.NOT_FOUND, "bucketKey")
            await refused(stranger.get("a", key), CODE.NOT_FOUND, "bucketKey")
            await refused(stranger.download("a", key), CODE.NOT_FOUND, "bucketKey")
            await refused(stranger.delete("a", key), CODE.NOT_FOUND, "bucketKey")
            await refused(stranger.upload(b"y", bucket=key), CODE.NOT_FOUND, "bucketKey")
        await refused(stranger.get(file["id"]), CODE.NOT_FOUND, "objectKey")
        gone = file_pb.DeleteOpenAIFileRequest(file_id=openai["id"])
        await refused(stranger.call(stranger.openai.DeleteOpenAIFile, gone), CODE.NOT_FOUND)
        for key in ("ours", provider_id):
            create = bucket_pb.CreateBucketRequest(name="b", provider_key=key)
            await refused(stranger.call(stranger.buckets.CreateBucket, create), CODE.NOT_FOUND, "providerKey")
            delete = provider_pb.DeleteFileProviderRequest(provider_key=key)
            await refused(stranger.call(stranger.providers.DeleteFileProvider, delete), CODE.NOT_FOUND)
        assert not (await stranger.call(stranger.openai.ListOpenAIFiles, file_pb.ListOpenAIFilesRequest())).data
    assert (await owner.download("a", "own")).content == b"x"


async def test_cursors_of_one_project_show_another_nothing(harness: Harness) -> None:
    owner, stranger = harness.client(), harness.client(project="p2")
    for number in range(3):
        await owner.upload(b"x", keyHint=f"k{number}")
    page = await owner.call(owner.files.ListFiles, file_pb.ListFilesRequest(bucket_key="default", limit=1))
    request = file_pb.ListFilesRequest(bucket_key="default", cursor=page.next_cursor)
    assert not (await stranger.call(stranger.files.ListFiles, request)).files


LOCAL = provider_pb.CreateFileProviderRequest(driver="local", label="l")
SCOPES: list[tuple[str, Callable[[RagClient], Any]]] = [
    ("files:read", lambda c: c.keys()),
    ("files:read", lambda c: c.download("a")),
    ("files:write", lambda c: c.upload(b"x", keyHint="b")),
    ("files:write", lambda c: c.delete("a")),
    ("files:admin", lambda c: c.call(c.providers.CreateFileProvider, LOCAL)),
]


LESS = {"files:read": (), "files:write": ("files:read",), "files:admin": ("files:read", "files:write")}


@pytest.mark.parametrize(("scope", "act"), SCOPES)
async def test_scopes(harness: Harness, scope: str, act: Callable[[RagClient], Any]) -> None:
    await harness.client().upload(b"x", keyHint="a")
    await act(harness.client(scopes=[scope]))
    for less in ("models:admin", *LESS[scope]):
        await refused(act(harness.client(scopes=[less])), CODE.PERMISSION_DENIED, http=403)
