"""Requests that are refused with the name of what is wrong, and a huge one that is answered."""

import json
from typing import Any

import grpc
import pytest

from tests.support.fake_provider import FakeProvider
from tests.support.inference_harness import Caller, Harness, field_of, reason_of, refused


class TestRefusedRequests:
    @pytest.mark.parametrize(
        ("body", "field"),
        [
            (b"", "body"),
            (b"{", "body"),
            (b"[]", "body"),
            (b'"x"', "body"),
            (b'{"model":"m","messages":[{"role":"user"}],"temperature":NaN}', "body"),
            (b'{"model":"m","messages":' + b"[" * 5000 + b"]" * 5000 + b"}", "body"),
            (b'{"model":"m","messages":[{"role":"user","content":' + b"[" * 400 + b"]" * 400 + b"}]}", "body"),
            (b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}', "body"),
            (b"{}", "model"),
            (b'{"model":5,"messages":[{"role":"user"}]}', "model"),
            (b'{"model":" ","messages":[{"role":"user"}]}', "model"),
            (b'{"model":"m"}', "messages"),
            (b'{"model":"m","messages":[]}', "messages"),
            (b'{"model":"m","messages":"hi"}', "messages"),
            (b'{"model":"m","messages":["hi"]}', "messages[0]"),
            (b'{"model":"m","messages":[{"role":"user"},{"content":"x"}]}', "messages[1].role"),
            (b'{"model":"m","messages":[{"role":"user"}],"stream":"yes"}', "stream"),
            (b'{"model":"m","messages":[{"role":"user"}],"stream_options":1}', "stream_options"),
            (b'{"model":"m","messages":[{"role":"user"}],"tools":{}}', "tools"),
        ],
    )
    async def test_a_bad_chat_names_its_field(
        self, caller: Caller, provider: FakeProvider, body: bytes, field: str
    ) -> None:
        error = await refused(caller.post_chat(body))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert field_of(error) == field
        assert provider.asked == 0

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"model": "e"}, "input"),
            ({"model": "e", "input": []}, "input"),
            ({"model": "e", "input": [""] * 2049}, "input"),
            ({"model": "e", "input": {"a": 1}}, "input"),
            ({"model": "e", "input": ["a", 1]}, "input"),
            ({"model": "e", "input": [[]]}, "input"),
            ({"model": "e", "input": "a", "encoding_format": "hex"}, "encoding_format"),
            ({"model": "e", "input": "a", "dimensions": 0}, "dimensions"),
        ],
    )
    async def test_a_bad_embedding_names_its_field(self, caller: Caller, body: Any, field: str) -> None:
        assert field_of(await refused(caller.post_embeddings(body))) == field

    @pytest.mark.parametrize("key", ["nope", "n" * 100, "n" * 100_000, "../m", "\u0000", "モデル"])
    async def test_an_unknown_model_is_a_404_however_its_key_looks(self, caller: Caller, key: str) -> None:
        caller.rest = True
        error = await refused(caller.chat(model=key))
        assert error.code() is grpc.StatusCode.NOT_FOUND
        assert reason_of(error) == "MODEL_NOT_FOUND"
        trailers = dict(error.trailing_metadata() or ())
        assert trailers["x-http-status"] == "404"
        assert json.loads(trailers["x-error-body"])["error"]["code"] == "model_not_found"
        (record,) = await caller.records(1)
        assert (record.status, record.error_reason, record.model_id) == ("error", "MODEL_NOT_FOUND", "")

    async def test_a_model_of_another_category_is_a_400(self, caller: Caller) -> None:
        await caller.model(key="e", category="embedding")
        assert reason_of(await refused(caller.chat(model="e"))) == "WRONG_MODEL_CATEGORY"
        error = await refused(caller.post_embeddings({"model": "m", "input": "a"}))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert field_of(error) == "model"

    async def test_a_huge_body_is_answered(self, caller: Caller, provider: FakeProvider) -> None:
        text = "x" * (8 * 1024 * 1024)
        await caller.chat(text)
        assert provider.bodies[0]["messages"][0]["content"] == text

    async def test_another_tenants_and_projects_models_are_not_there(self, harness: Harness, caller: Caller) -> None:
        for stranger in (harness.caller(tenant="globex"), harness.caller(project="p2")):
            error = await refused(stranger.chat())
            assert error.code() is grpc.StatusCode.NOT_FOUND
        await caller.chat()
        await caller.records(1)
