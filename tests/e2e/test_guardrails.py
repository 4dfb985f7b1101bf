"""Guardrails through the real edge: the console SDK, streams, uploads, two tenants with the same keys."""

import json
import secrets
from typing import Any

import openai
import pytest

from tests.support import node
from tests.support.cluster import Cluster, Rest, Tenant
from tools.seed import PROVIDER

EMAIL = "john@example.com"
PII = {"pii": {"enabled": True}}


async def guarded(rest: Rest, token: str, action: str = "block", **keys: str) -> str:
    """A new model at the provider `echo`, with the guardrail `keys` name."""
    key = f"g-{secrets.token_hex(4)}"
    await rest.ok(
        "POST",
        "/v1/guardrails",
        {"key": key, "name": key, "type": "preset", "action": action, "policy": PII},
        token=token,
    )
    model = {"key": key, "name": key, "category": "llm", "providerKey": PROVIDER["key"], "modelId": "echo"}
    await rest.ok("POST", "/v1/models", {**model, **dict.fromkeys(keys, key)}, token=token)
    return key


@pytest.fixture
async def owner(rest: Rest, tenant: Tenant) -> str:
    return await rest.token(tenant.session)


@pytest.mark.parametrize("base", ["", "/api/client/v1"])
async def test_the_console_sdk(cluster: Cluster, rest: Rest, owner: str, base: str) -> None:
    key = await guarded(rest, owner, inputGuardrailKey="")
    node.install()
    env = {
        "PORTICO_URL": cluster.url + base,
        "PORTICO_TOKEN": owner,
        "PORTICO_GUARDRAIL": key,
        "PORTICO_MODEL": key,
    }
    answers: Any = node.run("guardrails.mjs", env)
    blocked, passed = answers["blocked"], answers["passed"]
    assert (blocked["passed"], blocked["guardrail_key"], blocked["action"]) == (False, key, "block")
    assert blocked["guardrail_name"] == key
    assert blocked["message"] == "Content blocked by guardrail:\n• Email: E-mail address found."
    (finding,) = blocked["findings"]
    assert finding["type"], finding["category"] == ("pii", "email")
    assert (finding["severity"], finding["action"], finding["block"]) == ("medium", "block", True)
    assert "redacted_text" in blocked
    assert blocked["redacted_text"] is None
    assert (passed["passed"], passed["message"], passed["findings"], passed["disabled"]) == (True, None, [], False)
    assert (answers["unknown"]["api"], answers["unknown"]["status"]) == (True, 404)
    assert answers["missing"]["status"] == 400
    moderation = answers["moderation"]
    assert moderation["id"].startswith("modr_")
    assert [each["flagged"] for each in moderation["results"]] == [False, True]
    assert moderation["results"][1]["categories"]["email"] is True
    assert moderation["results"][0]["category_scores"]["violence"] == 0
    assert (answers["refused"]["status"], answers["refused"]["type"]) == (400, "guardrail_block")


@pytest.mark.parametrize("stream", [False, True])
async def test_answers_are_redacted_for_the_openai_sdk(cluster: Cluster, rest: Rest, owner: str, stream: bool) -> None:
    key = await guarded(rest, owner, "redact", outputGuardrailKey="")
    client = openai.AsyncOpenAI(api_key=owner, base_url=f"{cluster.url}/v1", max_retries=0)
    said = f"Please write to {EMAIL} or call +90 532 123 45 67 today"
    async with client:
        if stream:
            chunks = await client.chat.completions.create(
                model=key, messages=[{"role": "user", "content": said}], stream=True
            )
            text = "".join([each.choices[0].delta.content or "" async for each in chunks if each.choices])
        else:
            answer = await client.chat.completions.create(model=key, messages=[{"role": "user", "content": said}])
            text = answer.choices[0].message.content or ""
    assert "[REDACTED:email]" in text
    assert "[REDACTED:phone]" in text
    assert EMAIL not in text


async def test_a_blocked_stream_ends_with_its_error(cluster: Cluster, rest: Rest, owner: str) -> None:
    key = await guarded(rest, owner, outputGuardrailKey="")
    chat = {"model": key, "messages": [{"role": "user", "content": f"say {EMAIL}"}], "stream": True}
    answer = await rest.call("POST", "/v1/chat/completions", chat, token=owner)
    assert EMAIL.encode() not in answer.raw
    *_, error, done, _ = answer.raw.decode().split("\n\n")
    assert done == "data: [DONE]"
    assert json.loads(error.removeprefix("data: "))["error"]["guardrail_key"] == key


async def test_the_error_of_a_blocked_request(rest: Rest, owner: str) -> None:
    key = await guarded(rest, owner, inputGuardrailKey="")
    chat = {"model": key, "messages": [{"role": "tool", "tool_call_id": "1", "content": EMAIL}]}
    answer = await rest.call("POST", "/v1/chat/completions", chat, token=owner)
    assert answer.status == 400
    error = answer.body["error"]
    assert (error["type"], error["code"], error["action"]) == ("guardrail_block", "guardrail_blocked", "block")
    assert error["guardrail_key"] == key
    assert [each["category"] for each in error["findings"]] == ["email"]
    assert EMAIL not in answer.raw.decode()


async def test_a_list_of_words_is_uploaded(rest: Rest, owner: str) -> None:
    """More than the edge takes as JSON, and as much as a list may have."""
    await rest.ok("POST", "/v1/guardrails/word-lists", {"key": "long", "name": "Long"}, token=owner)
    words = "\n".join(f"word{at} {'x' * 80}" for at in range(20_000)).encode()
    upload = await rest.call(
        "PUT",
        "/v1/guardrails/word-lists/long/words",
        data=words,
        token=owner,
        headers={"Content-Type": "text/plain; charset=utf-8"},
    )
    assert upload.status == 200, upload.raw
    assert upload.body["wordList"]["wordCount"] == 20_000
    policy = {"wordFilter": {"enabled": True, "customListKeys": ["long"], "builtinLists": {"profanity-en": False}}}
    made = {"key": "g", "name": "G", "type": "preset", "policy": policy}
    await rest.ok("POST", "/v1/guardrails", made, token=owner)
    text = {"guardrail_key": "g", "text": f"the WORD19999  {'X' * 80}"}
    assert not (await rest.ok("POST", "/v1/guardrails/evaluate", text, token=owner))["passed"]
    too_many = await rest.call(
        "PUT", "/v1/guardrails/word-lists/long/words", data=b"a\nb\n" + b"\n".join(b"%d" % at for at in range(20_001)),
        token=owner, headers={"Content-Type": "text/plain"},
    )  # fmt: skip
    assert too_many.status == 400


async def test_pii_calls_in_the_form_of_the_origin(rest: Rest, owner: str) -> None:
    made = await rest.call("POST", "/v1/pii/policies", {"name": "My policy"}, token=owner)
    assert made.status == 201
    assert made.body["policy"]["key"] == "my-policy"
    call = {"policy_key": "my-policy", "text": f"I am {EMAIL}"}
    detected = await rest.ok("POST", "/v1/pii/detect", call, token=owner)
    assert (detected["policy_key"], detected["policy_name"]) == ("my-policy", "My policy")
    assert (detected["output_text"], detected["input_length"]) == (call["text"], len(call["text"]))
    assert detected["has_blocking"] is False
    (finding,) = detected["findings"]
    assert (finding["category"], finding["start"], finding["end"]) == ("email", 5, 5 + len(EMAIL))
    assert (await rest.ok("POST", "/v1/pii/redact", call, token=owner))["output_text"] == "I am [REDACTED:email]"
    blocking = await rest.ok("POST", "/v1/pii/scan", {**call, "action": "block"}, token=owner)
    assert blocking["has_blocking"] is True
    tokens = await rest.ok("POST", "/v1/pii/tokenize", call, token=owner)
    assert tokens["output_text"] == "I am [EMAIL_1]"
    back = await rest.ok("POST", "/v1/pii/detokenize", {"text": "Hi [EMAIL_1]", "vault": tokens["vault"]}, token=owner)
    assert back == {"output_text": f"Hi {EMAIL}"}
    assert (await rest.call("POST", "/v1/pii/detect", {"text": "x"}, token=owner)).status == 400
    assert (await rest.call("POST", "/v1/pii/detect", {"policy_key": "no", "text": "x"}, token=owner)).status == 404


async def test_two_tenants_with_the_same_keys(rest: Rest, tenant: Tenant) -> None:
    other = await rest.register()
    for each, action in ((tenant, "block"), (other, "flag")):
        made = {"key": "same", "name": "Same", "type": "preset", "action": action, "policy": PII}
        await rest.ok("POST", "/v1/guardrails", made, token=each.session)
    call = {"guardrail_key": "same", "text": EMAIL}
    assert not (await rest.ok("POST", "/v1/guardrails/evaluate", call, token=tenant.session))["passed"]
    assert (await rest.ok("POST", "/v1/guardrails/evaluate", call, token=other.session))["passed"]
