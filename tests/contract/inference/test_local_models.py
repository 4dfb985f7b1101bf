"""The driver `local`: models that run in the service, from folders on disk."""

import asyncio
import base64
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from core.config import ConfigError
from portico.inference.v1 import inference_service_pb2, provider_service_pb2
from services.inference.adapters.local.network import Network
from services.inference.app import _local_models
from tests.support.inference_harness import Caller, Harness, field_of, inference, reason_of, refused
from tests.support.local_model import MODELS
from tests.support.tiny_models import HIDDEN, TinyModel
from tools.local_model import NAME, fetch

SENTENCES = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
PUBLISHED = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
"""Their similarities by all-MiniLM-L6-v2, as the documentation of sentence-transformers gives them."""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    TinyModel(folder / "tiny")
    TinyModel(folder / "ranker", labels=1)
    return folder


@pytest.fixture
async def harness(tmp_path: Path, models: Path) -> AsyncIterator[Harness]:
    settings = {"PORTICO_LOCAL_MODELS": str(models), "PORTICO_LOCAL_QUEUE_CHARACTERS": "100"}
    async with inference(tmp_path / "data", **settings) as running:
        yield running


@pytest.fixture
async def caller(harness: Harness) -> Caller:
    made = harness.caller()
    await made.provider(key="local", driver="local")
    await made.model(key="tiny", category="embedding", provider_key="local", model_id="tiny")
    await made.model(key="ranker", category="rerank", provider_key="local", model_id="ranker")
    return made


class TestEmbeddings:
    async def test_vectors_usage_and_what_was_cut_are_told(self, caller: Caller) -> None:
        given = ["the cat", "cat " * 30, "a dog ran"]
        answer = await caller.post_embeddings({"model": "tiny", "input": given})
        assert [each["index"] for each in answer["data"]] == [0, 1, 2]
        assert {len(each["embedding"]) for each in answer["data"]} == {HIDDEN}
        assert answer["usage"] == {"prompt_tokens": 4 + 24 + 5, "total_tokens": 33}
        assert answer["truncated"] == [1]
        (record,) = await caller.records(1)
        assert (record.operation, record.usage.input_tokens, record.usage.estimated) == ("embedding", 33, False)

    async def test_each_text_has_the_vector_that_it_has_alone(self, caller: Caller) -> None:
        given = [f"{'the cat sat ' * (at % 5)} on the mat" for at in range(70)]
        together = await caller.post_embeddings({"model": "tiny", "input": given, "encoding_format": "base64"})
        for at in (0, 33, 69):
            alone = await caller.post_embeddings({"model": "tiny", "input": given[at]})
            vector = np.frombuffer(base64.b64decode(together["data"][at]["embedding"]), "<f4")
            np.testing.assert_allclose(vector, alone["data"][0]["embedding"], atol=1e-5)

    async def test_typed_callers_get_the_same(self, caller: Caller) -> None:
        request = inference_service_pb2.EmbedRequest(model="tiny", inputs=["the cat", "cat " * 30])
        response = await caller.harness.typed.Embed(request, metadata=caller.metadata)
        assert [len(each.values) for each in response.embeddings] == [HIDDEN, HIDDEN]
        assert list(response.truncated) == [1]

    @pytest.mark.parametrize(
        ("change", "field"),
        [({"input": [1, 2]}, "input"), ({"dimensions": 8}, "dimensions")],
    )
    async def test_what_it_cannot_do_is_refused(self, caller: Caller, change: dict[str, Any], field: str) -> None:
        error = await refused(caller.post_embeddings({"model": "tiny", "input": "cat", **change}))
        assert (error.code(), field_of(error)) == (grpc.StatusCode.INVALID_ARGUMENT, field)


class TestRanking:
    async def test_a_cross_encoder_ranks(self, caller: Caller) -> None:
        documents = ["the cat sat on the mat", "a dog ran", "the mat"]
        answer = await caller.post_rerank({"model": "ranker", "query": "the cat", "documents": documents})
        scores = [each["relevance_score"] for each in answer["results"]]
        assert sorted(each["index"] for each in answer["results"]) == [0, 1, 2]
        assert scores == sorted(scores, reverse=True)
        assert all(0 < score < 1 for score in scores)
        (record,) = await caller.records(1)
        assert (record.operation, record.usage.input_tokens) == ("rerank", 11 + 8 + 7)

    async def test_a_model_of_the_other_kind_is_refused(self, caller: Caller) -> None:
        await caller.model(key="wrong", category="rerank", provider_key="local", model_id="tiny")
        error = await refused(caller.post_rerank({"model": "wrong", "query": "cat", "documents": ["cat"]}))
        assert reason_of(error) == "WRONG_MODEL_CATEGORY"


class TestFolders:
    @pytest.mark.parametrize(
        "name", ["..", ".", "../models/tiny", "tiny/../tiny", "/etc", "tiny/", "none", "outside", "file"]
    )
    async def test_no_name_leads_out_of_the_folder(
        self, caller: Caller, models: Path, tmp_path: Path, name: str
    ) -> None:
        TinyModel(tmp_path / "elsewhere")
        (models / "outside").symlink_to(tmp_path / "elsewhere")
        (models / "file").write_text("x")
        await caller.model(key="m", category="embedding", provider_key="local", model_id=name)
        error = await refused(caller.post_embeddings({"model": "m", "input": "cat"}))
        assert (error.code(), reason_of(error)) == (grpc.StatusCode.NOT_FOUND, "LOCAL_MODEL_NOT_FOUND")

    async def test_a_broken_folder_is_told_and_found_when_mended(self, caller: Caller, models: Path) -> None:
        config = models / "tiny" / "config.json"
        good = config.read_text()
        config.unlink()
        error = await refused(caller.post_embeddings({"model": "tiny", "input": "cat"}))
        assert (error.code(), reason_of(error)) == (grpc.StatusCode.FAILED_PRECONDITION, "LOCAL_MODEL_UNUSABLE")
        assert str(models) not in (error.details() or "")
        config.write_text(good)
        await caller.post_embeddings({"model": "tiny", "input": "cat"})

    async def test_without_a_folder_there_is_no_such_driver(self, tmp_path: Path) -> None:
        async with inference(tmp_path / "other") as harness:
            caller = harness.caller()
            error = await refused(caller.provider(key="local", driver="local"))
            assert (error.code(), field_of(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "driver")
            drivers = await harness.providers.ListDrivers(
                provider_service_pb2.ListDriversRequest(), metadata=caller.metadata
            )
            assert "local" not in {each.id for each in drivers.drivers}

    def test_missing_libraries_are_told_at_the_start(
        self, harness: Harness, models: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "services.inference.adapters.local.models", None)

        class Settings:
            local_models = models

        with pytest.raises(ConfigError, match=r"portico\[local\]"):
            _local_models(Settings())  # type: ignore[arg-type]  # all that it looks at


class Gate:
    """Holds all networks until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def open(self) -> None:
        self.opened.set()

    async def reached(self) -> None:
        """A network has been asked for something."""
        assert await asyncio.to_thread(self.entered.wait, 30)


class TestLoad:
    @pytest.fixture
    def gate(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
        gate, embed = Gate(), Network.embed

        def held(network: Network, encodings: Any) -> Any:
            gate.entered.set()
            assert gate.opened.wait(30)
            return embed(network, encodings)

        monkeypatch.setattr(Network, "embed", held)
        yield gate
        gate.open()

    async def test_others_are_answered_while_a_model_computes(self, caller: Caller, gate: Gate) -> None:
        await caller.provider()
        await caller.model(model_id="echo")
        embedding = asyncio.ensure_future(caller.post_embeddings({"model": "tiny", "input": ["cat"] * 8}))
        await gate.reached()
        answer = await caller.chat("Hello")
        assert answer["choices"][0]["message"]["content"] == "Hello"
        assert not embedding.done()
        gate.open()
        assert len((await embedding)["data"]) == 8

    async def test_more_than_the_queue_holds_is_refused_and_taken_later(self, caller: Caller, gate: Gate) -> None:
        body = {"model": "tiny", "input": ["cat " * 20]}
        waiting = asyncio.ensure_future(caller.post_embeddings(body))
        await gate.reached()
        error = await refused(caller.post_embeddings(body))
        assert (error.code(), reason_of(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "LOCAL_MODELS_BUSY")
        gate.open()
        await waiting
        await caller.post_embeddings(body)


async def test_the_real_model_gives_the_published_similarities(tmp_path: Path) -> None:
    await asyncio.to_thread(fetch, MODELS)
    async with inference(tmp_path / "data", PORTICO_LOCAL_MODELS=str(MODELS)) as harness:
        caller = harness.caller()
        await caller.provider(key="local", driver="local")
        await caller.model(key="minilm", category="embedding", provider_key="local", model_id=NAME)
        answer = await caller.post_embeddings({"model": "minilm", "input": SENTENCES})
        vectors = np.array([each["embedding"] for each in answer["data"]])
        np.testing.assert_allclose(vectors @ vectors.T, PUBLISHED, atol=1e-3)
        assert vectors.shape == (3, 384)
        assert answer["usage"]["prompt_tokens"] == 25
