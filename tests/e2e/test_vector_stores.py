"""OpenAI's vector stores: every method of the official SDKs, unchanged; LangChain and LlamaIndex over the same face."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support import node
from tests.support.cluster import Cluster

PYTHON = Path(__file__).parent / "python"
LEAVE = b"# Leave\n\nParental leave lasts up to three years. Apply seven weeks before it begins."
FEES = b"# Fees\n\nThe library card costs ten euros a year. Children pay nothing."
PETS = b"# Pets\n\nDogs are welcome in the garden on a leash."


@pytest.fixture(scope="module")
def client(cluster: Cluster) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{cluster.url}/v1", api_key=cluster.dev_token, max_retries=0) as made:
        yield made


@pytest.fixture
def store(client: OpenAI) -> Iterator[str]:
    made = client.vector_stores.create(name="Handbook")
    yield made.id
    client.vector_stores.delete(made.id)


def upload(client: OpenAI, name: str, content: bytes) -> str:
    return client.files.create(file=(name, content), purpose="assistants").id


def test_stores(client: OpenAI) -> None:
    made = client.vector_stores.create(
        name="Handbook",
        description="For all",
        metadata={"team": "people"},
        expires_after={"anchor": "last_active_at", "days": 7},
    )
    assert made.id.startswith("vs_")
    assert (made.object, made.name, made.status, made.metadata) == (
        "vector_store",
        "Handbook",
        "completed",
        {"team": "people"},
    )
    assert made.expires_after is not None
    assert made.expires_at == made.last_active_at + 7 * 86_400  # type: ignore[operator]
    assert made.file_counts.total == made.usage_bytes == 0
    assert client.vector_stores.retrieve(made.id) == made
    changed = client.vector_stores.update(made.id, name="New", metadata={"team": "it"}, expires_after=None)
    assert (changed.name, changed.metadata, changed.expires_at) == ("New", {"team": "it"}, None)
    gone = client.vector_stores.delete(made.id)
    assert (gone.id, gone.deleted, gone.object) == (made.id, True, "vector_store.deleted")
    with pytest.raises(openai.NotFoundError) as caught:
        client.vector_stores.retrieve(made.id)
    assert caught.value.code == "vector_store_not_found"


def test_stores_are_listed_in_pages_either_way(client: OpenAI) -> None:
    made = [client.vector_stores.create(name=f"S{at}").id for at in range(5)]
    try:
        pages = client.vector_stores.list(limit=2)
        assert [each.id for each in pages][:5] == made[::-1]
        oldest = client.vector_stores.list(limit=2, order="asc", after=made[0])
        assert [each.id for each in oldest.data] == made[1:3]
        assert oldest.has_more
        before = client.vector_stores.list(limit=2, before=made[1])
        assert [each.id for each in before.data] == [made[3], made[2]]
    finally:
        for id in made:
            client.vector_stores.delete(id)


def test_files(client: OpenAI, store: str) -> None:
    leave = client.vector_stores.files.upload_and_poll(vector_store_id=store, file=("leave.md", LEAVE))
    assert (leave.status, leave.last_error, leave.vector_store_id) == ("completed", None, store)
    assert leave.chunking_strategy is not None
    assert leave.chunking_strategy.type == "static"
    assert leave.chunking_strategy.static.max_chunk_size_tokens == 800
    fees = client.vector_stores.files.create_and_poll(
        upload(client, "fees.md", FEES),
        vector_store_id=store,
        attributes={"year": 2026, "public": True, "lang": "en"},
        chunking_strategy={
            "type": "static",
            "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 20},
        },
    )
    assert fees.attributes == {"year": 2026, "public": True, "lang": "en"}
    assert fees.chunking_strategy is not None
    assert fees.chunking_strategy.static.max_chunk_size_tokens == 100  # type: ignore[union-attr]
    assert client.vector_stores.files.retrieve(fees.id, vector_store_id=store) == fees
    assert [each.id for each in client.vector_stores.files.list(store)] == [fees.id, leave.id]
    assert [each.id for each in client.vector_stores.files.list(store, order="asc", limit=1)] == [leave.id, fees.id]
    assert [each.id for each in client.vector_stores.files.list(store, filter="failed")] == []
    text = "".join(part.text or "" for part in client.vector_stores.files.content(leave.id, vector_store_id=store))
    assert text == LEAVE.decode()
    counts = client.vector_stores.retrieve(store).file_counts
    assert (counts.completed, counts.total) == (2, 2)
    gone = client.vector_stores.files.delete(leave.id, vector_store_id=store)
    assert (gone.id, gone.deleted, gone.object) == (leave.id, True, "vector_store.file.deleted")
    assert [each.id for each in client.vector_stores.files.list(store)] == [fees.id]
    assert client.files.retrieve(leave.id).id == leave.id, "the file itself stays"


def test_attributes_can_be_changed_and_are_searched_by(client: OpenAI, store: str) -> None:
    file = client.vector_stores.files.create_and_poll(
        upload(client, "fees.md", FEES), vector_store_id=store, attributes={"year": 2025}
    )
    wanted: Any = {"type": "eq", "key": "year", "value": 2026}
    assert client.vector_stores.search(store, query="library card", filters=wanted).data == []
    client.vector_stores.files.update(file.id, vector_store_id=store, attributes={"year": 2026})
    changed = client.vector_stores.files.poll(file.id, vector_store_id=store)
    assert changed.attributes == {"year": 2026}
    assert [each.file_id for each in client.vector_stores.search(store, query="library card", filters=wanted)] == [
        file.id
    ]


def test_batches(client: OpenAI, store: str) -> None:
    batch = client.vector_stores.file_batches.upload_and_poll(
        store, files=[("leave.md", BytesIO(LEAVE)), ("fees.md", BytesIO(FEES)), ("broken.pdf", BytesIO(b"%PDF-1.7 no"))]
    )
    assert (batch.file_counts.completed, batch.file_counts.failed, batch.file_counts.total) == (2, 1, 3)
    assert (batch.status, batch.vector_store_id) == ("completed", store)
    assert client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store) == batch
    files = list(client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store))
    assert len(files) == 3
    (broken,) = client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store, filter="failed")
    assert broken.last_error is not None
    assert broken.last_error.message
    assert broken.last_error.code == "invalid_file"
    assert client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store).status == "completed"
    own = client.vector_stores.file_batches.create_and_poll(
        store, files=[{"file_id": upload(client, "pets.md", PETS), "attributes": {"topic": "pets"}}]
    )
    assert own.file_counts.completed == 1


def test_a_store_begins_with_files(client: OpenAI) -> None:
    ids = [upload(client, "leave.md", LEAVE), upload(client, "pets.md", PETS)]
    made = client.vector_stores.create(name="With files", file_ids=ids)
    try:
        assert made.file_counts.total == 2
        for id in ids:
            assert client.vector_stores.files.poll(id, vector_store_id=made.id).status == "completed"
    finally:
        client.vector_stores.delete(made.id)


def test_search(client: OpenAI, store: str) -> None:
    files = client.vector_stores.file_batches
    files.upload_and_poll(store, files=[("leave.md", BytesIO(LEAVE)), ("fees.md", BytesIO(FEES))])
    pets = client.vector_stores.files.create_and_poll(
        upload(client, "pets.md", PETS), vector_store_id=store, attributes={"topic": "pets", "stars": 4.5}
    )
    found = client.vector_stores.search(store, query="parental leave lasts three years", max_num_results=2)
    assert found.data[0].filename == "leave.md"
    assert found.data[0].content[0].text.endswith("seven weeks before it begins.")
    assert 0 < found.data[-1].score <= found.data[0].score <= 1
    assert len(found.data) == 2
    compound: Any = {
        "type": "and",
        "filters": [
            {"type": "in", "key": "topic", "value": ["pets", "plants"]},
            {
                "type": "or",
                "filters": [{"type": "gte", "key": "stars", "value": 4}, {"type": "eq", "key": "a", "value": 1}],
            },
        ],
    }
    filtered = client.vector_stores.search(store, query=["library card", "parental leave"], filters=compound)
    assert [each.file_id for each in filtered] == [pets.id]
    assert filtered.data[0].attributes == {"topic": "pets", "stars": 4.5}
    strict = client.vector_stores.search(
        store,
        query="library card costs",
        ranking_options={"ranker": "auto", "score_threshold": 0.95},
        rewrite_query=True,
    )
    assert [each.filename for each in strict] == ["fees.md"]


def test_errors_are_openais(client: OpenAI, store: str) -> None:
    for call, error, param in (
        (lambda: client.vector_stores.search("vs_none", query="x"), openai.NotFoundError, "vector_store_id"),
        (lambda: client.vector_stores.files.create(store, file_id="file-none"), openai.NotFoundError, None),
        (
            lambda: client.vector_stores.files.retrieve("file-none", vector_store_id=store),
            openai.NotFoundError,
            "file_id",
        ),
        (lambda: client.vector_stores.search(store, query=""), openai.BadRequestError, "query"),
        (
            lambda: client.vector_stores.search(store, query="x", max_num_results=51),
            openai.BadRequestError,
            "max_num_results",
        ),
        (
            lambda: client.vector_stores.search(store, query="x", filters={"type": "eq", "key": "a.b", "value": 1}),
            openai.BadRequestError,
            "filters.key",
        ),
        (
            lambda: client.vector_stores.file_batches.retrieve("vsfb_none", vector_store_id=store),
            openai.NotFoundError,
            "batch_id",
        ),
        (lambda: client.vector_stores.create(file_ids=["file-none"]), openai.NotFoundError, None),
        (lambda: client.vector_stores.list(order="up"), openai.BadRequestError, "order"),  # type: ignore[arg-type]
    ):
        with pytest.raises(error) as caught:
            call()
        assert caught.value.body is not None
        if param:
            assert caught.value.param == param


def test_the_node_sdk_does_every_method(cluster: Cluster) -> None:
    node.install()
    seen = node.run("vector_stores.mjs", {"OPENAI_BASE_URL": f"{cluster.url}/v1", "OPENAI_API_KEY": cluster.dev_token})
    assert seen["batch"]["file_counts"]["completed"] == 2
    assert [each["filename"] for each in seen["found"]] == ["fees.md"]
    assert seen["content"] == FEES.decode()
    assert seen["deleted"] == [True, True]
    assert seen["refused"] == {"status": 404, "code": "vector_store_not_found"}
    assert seen["listed"] >= 1
    assert seen["attributes"] == {"year": 2026}


@pytest.mark.parametrize("program", ["langchain_retriever.py", "llama_index_retriever.py"])
def test_frameworks_find_documents(cluster: Cluster, client: OpenAI, store: str, program: str) -> None:
    client.vector_stores.file_batches.upload_and_poll(
        store, files=[("leave.md", BytesIO(LEAVE)), ("fees.md", BytesIO(FEES)), ("pets.md", BytesIO(PETS))]
    )
    done = subprocess.run(
        [sys.executable, PYTHON / program, store, "library card costs"],
        env={**os.environ, "OPENAI_BASE_URL": f"{cluster.url}/v1", "OPENAI_API_KEY": cluster.dev_token},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    seen = json.loads(done.stdout)
    assert seen["vector_store"][0] == "fees.md"
    assert seen["embeddings"] == "fees.md"
