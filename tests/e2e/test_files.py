"""Files through the edge: OpenAI's client, large uploads, ranges, hostile keys."""

import asyncio
import base64
import hashlib
import http.client
import io
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import openai
import pytest
from openai import OpenAI
from yarl import URL

from tests.load import processes
from tests.support.cluster import Cluster, Rest, Tenant, until

MIB = 1 << 20
BLOCK = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def client(cluster: Cluster) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{cluster.url}/v1", api_key=cluster.dev_token, max_retries=0) as made:
        yield made


def test_openais_client_does_files(client: OpenAI) -> None:
    text = b'{"messages": []}\n' * 1000
    made = client.files.create(file=("train.jsonl", io.BytesIO(text)), purpose="fine-tune")
    assert made.id.startswith("file-")
    assert (made.object, made.bytes, made.filename, made.purpose) == ("file", len(text), "train.jsonl", "fine-tune")
    assert abs(made.created_at - time.time()) < 120
    assert client.files.retrieve(made.id).id == made.id
    assert made.id in {each.id for each in client.files.list()}
    assert made.id not in {each.id for each in client.files.list(purpose="batch")}
    assert client.files.content(made.id).content == text
    assert client.files.delete(made.id).deleted is True
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)


async def test_an_upload_that_hangs_is_refused_with_408(own_cluster: Cluster) -> None:
    """It kept its place for as long as its sender liked."""
    own_cluster.env = {"PORTICO_FILES_IDLE_SECONDS": "1"}
    own_cluster.start()
    head = '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc'
    request = (
        "POST /v1/files/buckets/default/objects HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
        f"Authorization: Bearer {own_cluster.dev_token}\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n{head}"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", own_cluster.port)
    writer.write(request.encode())
    async with asyncio.timeout(60):
        answer = await reader.read()  # the edge closes, for the rest of the request will not come
    writer.close()
    status, _, body = answer.decode().partition("\r\n\r\n")
    assert status.startswith("HTTP/1.1 408")
    assert "upload_stalled" in body


def test_deleting_while_listing_deletes_all(client: OpenAI) -> None:
    """The loop stopped after the first page, whose last file was gone when the next one was asked for."""
    made = {client.files.create(file=("a.txt", b"x"), purpose="evals").id for _ in range(5)}
    seen = set()
    for file in client.files.list(limit=2, purpose="evals"):
        seen.add(file.id)
        client.files.delete(file.id)
    assert seen == made


def test_a_purpose_that_openai_does_not_have_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.files.create(file=("a.txt", b"x"), purpose="bogus")  # type: ignore[arg-type]
    assert caught.value.param == "purpose"
    with pytest.raises(openai.BadRequestError) as caught:
        client.files.create(
            file=("a.txt", b"x"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
        )
    assert caught.value.param == "expires_after"


async def _upload(rest: Rest, token: str, size_mib: int, name: str) -> Any:
    async def body() -> Any:
        for _ in range(size_mib):
            yield BLOCK

    form = aiohttp.FormData()
    form.add_field("metadata", '{"kind": "large"}')
    form.add_field("file", body(), filename=name, content_type="application/octet-stream")
    url = f"{rest.url}/v1/files/buckets/default/objects"
    async with rest.http.post(url, data=form, headers={"Authorization": f"Bearer {token}"}) as response:
        answer = await response.json()
        assert response.status == 201, answer
        return answer["file"]


def _memory(cluster: Cluster) -> Counter[str]:
    """Resident bytes by process."""
    used: Counter[str] = Counter()
    for process in processes.tree(cluster.pid("launcher")).processes.values():
        used[process.label] += process.rss
    return used


@asynccontextmanager
async def _most_memory(cluster: Cluster) -> AsyncIterator[Counter[str]]:
    """The most of each process that is seen at any moment of the block."""
    most = _memory(cluster)

    async def watch() -> None:
        nonlocal most
        while True:
            most |= await asyncio.to_thread(_memory, cluster)
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    try:
        yield most
    finally:
        watching.cancel()


async def test_a_gigabyte_up_and_down_is_never_held_in_memory(cluster: Cluster, rest: Rest, tenant: Tenant) -> None:
    size = 1024
    await _upload(rest, tenant.session, 8, "warm-up.bin")
    before = _memory(cluster)
    async with _most_memory(cluster) as peak:
        file = await _upload(rest, tenant.session, size, "large.bin")
        got = hashlib.sha256()
        url = f"{rest.url}/v1/files/buckets/default/objects/{file['key']}/download"
        async with rest.http.get(url, headers={"Authorization": f"Bearer {tenant.session}"}) as response:
            assert response.status == 200
            assert response.headers["Content-Length"] == str(size * MIB)
            async for piece in response.content.iter_chunked(MIB):
                got.update(piece)
    expected = hashlib.sha256()
    for _ in range(size):
        expected.update(BLOCK)
    assert file["size"] == size * MIB
    assert got.hexdigest() == file["checksum"] == expected.hexdigest()
    grown = {label: (used - before[label]) // MIB for label, used in peak.items()}
    assert sum(grown.values()) < 64, grown
    await rest.ok("DELETE", f"/v1/files/buckets/default/objects/{file['key']}", token=tenant.session)


async def test_ranges_and_entity_tags(rest: Rest, tenant: Tenant) -> None:
    made = await rest.ok(
        "POST",
        "/v1/files/buckets/default/objects",
        {"fileName": "digits.txt", "data": "MDEyMzQ1Njc4OQ==", "contentType": "text/plain"},
        token=tenant.session,
    )
    path = f"/v1/files/buckets/default/objects/{made['file']['key']}/download"
    whole = await rest.call("GET", path, token=tenant.session)
    assert (whole.status, whole.raw) == (200, b"0123456789")
    assert "attachment" in whole.headers["Content-Disposition"]
    ranges = {"bytes=2-4": b"234", "bytes=7-": b"789", "bytes=-2": b"89", "bytes=0-99": b"0123456789"}
    for asked, expected in ranges.items():
        part = await rest.call("GET", path, token=tenant.session, headers={"Range": asked})
        assert (part.status, part.raw) == (206, expected), asked
        assert part.headers["Content-Range"].endswith("/10")
    assert (await rest.call("GET", path, token=tenant.session, headers={"Range": "bytes=10-"})).status == 416
    same = await rest.call("GET", path, token=tenant.session, headers={"If-None-Match": whole.headers["ETag"]})
    assert (same.status, same.raw) == (304, b"")
    other = await rest.call("GET", path, token=tenant.session, headers={"If-Match": '"x"'})
    assert (other.status, other.body["error"]["param"]) == (412, "if-match")
    head = await rest.call("HEAD", path, token=tenant.session, headers={"Range": "bytes=2-4"})
    assert (head.status, head.raw) == (200, b"")
    named = ("Content-Length", "ETag", "Accept-Ranges", "Last-Modified", "Content-Type", "Content-Disposition")
    assert {name: head.headers[name] for name in named} == {name: whole.headers[name] for name in named}
    absent = await rest.call("HEAD", path.replace("/download", "x/download"), token=tenant.session)
    assert (absent.status, absent.raw) == (404, b"")


async def test_a_search_with_a_space(rest: Rest, tenant: Tenant) -> None:
    """URLSearchParams writes a space as a plus, and nothing was found."""
    upload = {"fileName": "My Report.txt", "data": "eA==", "keyHint": "report"}
    await rest.ok("POST", "/v1/files/buckets/default/objects", upload, token=tenant.session)
    for search in ("My+Report", "My%20Report"):
        # as it stands: aiohttp would write the plus in its own way
        url = URL(f"{rest.url}/v1/files/buckets/default/objects?search={search}", encoded=True)
        async with rest.http.get(url, headers={"Authorization": f"Bearer {tenant.session}"}) as answer:
            assert [file["key"] for file in (await answer.json())["files"]] == ["report"]


@pytest.mark.parametrize(
    "hint",
    ["../../x", "..", "a/../b", "/x", "a//b", "a/./b", "a\0b", "a\nb", "x" * 1025, "a\\..\\b", "%00", "%2e%2e/x"],
)
async def test_hostile_keys_are_400_or_kept_as_they_are(
    rest: Rest, tenant: Tenant, cluster: Cluster, hint: str
) -> None:
    body = {"fileName": "x.txt", "data": "eA==", "keyHint": hint}
    answer = await rest.call("POST", "/v1/files/buckets/default/objects", body, token=tenant.session)
    assert answer.status == 400, answer.raw
    assert answer.body["error"]["param"] == "keyHint"
    assert list(cluster.data.parent.glob("x*")) == []


@pytest.mark.parametrize(
    "path",
    [
        "../../x",
        "%2e%2e/%2e%2e/x",
        "..%2F..%2Fx",
        "%2e%2e%2f%2e%2e%2fx",
        "%252e%252e%252fx",
        "a%2F..%2Fb",
        "%00",
        "a%00b",
        "a%2F%2Fb",
        "%5c..%5cx",
        "%c0%ae%c0%ae%2fx",
        "x" * 1025,
        "%2Fetc%2Fpasswd",
    ],
)
async def test_hostile_paths_lead_nowhere(cluster: Cluster, tenant: Tenant, path: str) -> None:
    """As they stand on the wire: an HTTP client that tidies paths up would not show what the edge makes of them."""
    host, port = cluster.url.removeprefix("http://").split(":")
    for method, end in (("GET", ""), ("GET", "/download"), ("DELETE", ""), ("POST", "/convert")):
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        try:
            target = f"/v1/files/buckets/default/objects/{path}{end}"
            connection.request(method, target, headers={"Authorization": f"Bearer {tenant.session}"})
            answer = connection.getresponse()
            body = json.loads(answer.read())
        finally:
            connection.close()
        assert answer.status in (400, 404), (method, target)
        assert body["error"]["message"]


async def test_a_document_becomes_markdown(rest: Rest, tenant: Tenant) -> None:
    html = "<h1>Title</h1><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>"
    sent = {"fileName": "page.html", "data": base64.b64encode(html.encode()).decode(), "convertToMarkdown": True}
    made = await rest.ok("POST", "/v1/files/buckets/default/objects", sent, token=tenant.session)
    path = f"/v1/files/buckets/default/objects/{made['file']['key']}"

    async def converted() -> Any:
        file = (await rest.ok("GET", path, token=tenant.session))["file"]
        return file if file["markdownStatus"] not in ("pending", "running") else None

    file = await until(converted, 60)
    assert file["markdownStatus"] == "succeeded"
    assert "# Title" in file["markdownContent"]
    text = await rest.call("GET", f"{path}/download?variant=markdown", token=tenant.session)
    assert "# Title" in text.raw.decode()
