"""Models with several targets: no client fails while one target is well, and nothing is asked too often."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from portico.inference.v1 import model_service_pb2 as pb
from portico.inference.v1 import provider_service_pb2 as provider_pb
from tests.support import fake_provider as fake
from tests.support.fake_provider import Behaviour, FakeProvider
from tests.support.inference_harness import Caller, Harness, field_of, reason_of, refused, text_of
from tests.support.ports import reserved_port

COMMENT = b": PROCESSING\n\n"


@pytest.fixture
async def providers() -> AsyncIterator[list[FakeProvider]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(FakeProvider(fake.answers(f"from {name}"))) for name in "abc"]


@pytest.fixture
async def caller(harness: Harness, providers: list[FakeProvider]) -> Caller:
    """Of a project with the providers a, b, c and away, at which nobody listens."""
    made = harness.caller()
    urls = {name: each.url for name, each in zip("abc", providers, strict=True)}
    for key, url in {**urls, "away": f"http://127.0.0.1:{reserved_port()}/v1"}.items():
        await made.provider(url, key=key)
    return made


async def model(caller: Caller, own: str = "a", *targets: dict[str, Any], **routing: Any) -> pb.Model:
    """The model `m` at the provider `own`, with further targets."""
    filled = [{"modelId": "upstream-model", **each} for each in targets]
    settings = ParseDict({"routing": {"targets": filled, **routing}}, pb.ModelSettings())
    made: pb.Model = await caller.model(provider_key=own, settings=settings)
    return made


def said(answer: dict[str, Any]) -> str:
    return str(answer["choices"][0]["message"]["content"])


BROKEN: dict[str, Behaviour] = {
    "429": fake.refuses(429),
    "500": fake.refuses(500),
    "529": fake.refuses(529),
    "401": fake.refuses(401),
    "reset": fake.resets(),
    "no JSON": fake.responds(b"<html>no"),
    "hangs": fake.hangs(),
    "slow": fake.sends(*[COMMENT] * 3, end="hang"),
    "error first": fake.sends(b'data: {"error":{"code":500,"message":"no"}}\n\n'),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("broken", BROKEN)
async def test_no_client_fails_while_a_target_is_well(
    caller: Caller, providers: list[FakeProvider], broken: str, stream: bool
) -> None:
    providers[0].behaviour = BROKEN[broken]
    limits = {"firstTokenTimeoutSeconds": 0.2, "timeoutSeconds": 0.2}
    await model(caller, "b", {"providerKey": "a", **limits})

    async def ask() -> str:
        return text_of(await caller.stream()) if stream else said(await caller.chat())

    async with asyncio.timeout(60):
        for _ in range(5):
            texts = await asyncio.gather(*(ask() for _ in range(20)))
            assert {text.replace(" ", "") for text in texts} == {"fromb"}
    assert 0 < providers[0].asked < 100
    assert providers[1].asked == 100


async def test_a_target_that_is_down_costs_no_client_an_answer(caller: Caller) -> None:
    await model(caller, "away", {"providerKey": "b"}, {"providerKey": "c"})
    texts = Counter([said(await caller.chat()) for _ in range(40)])
    assert set(texts) == {"from b", "from c"}
    records = await caller.records(40)
    assert {record.status for record in records} == {"success"}
    failed = [record for record in records if record.failed_attempts]
    assert failed
    assert failed[0].failed_attempts[0].provider_key == "away"
    assert (failed[0].attempts, failed[0].decision.reason) == (2, "failover")


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_a_clients_own_mistake_goes_nowhere_else_and_cools_nothing_down(
    caller: Caller, providers: list[FakeProvider], status: int
) -> None:
    providers[0].behaviour = fake.refuses(status)
    await model(caller, "a", {"providerKey": "b", "priority": 1})
    for asked in (1, 2, 3):
        await refused(caller.chat())
        assert (providers[0].asked, providers[1].asked) == (asked, 0)
    providers[0].behaviour = fake.answers("again")
    assert said(await caller.chat()) == "again"


async def test_a_conversation_that_is_too_long_goes_nowhere_else(caller: Caller, providers: list[FakeProvider]) -> None:
    body = b'{"error":{"message":"too long","code":"context_length_exceeded"}}'
    providers[0].behaviour = fake.refuses(500, body)
    await model(caller, "a", {"providerKey": "b", "priority": 1})
    assert reason_of(await refused(caller.chat())) == "CONTEXT_LENGTH_EXCEEDED"
    assert providers[1].asked == 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_attempts_are_bounded_over_all_targets(
    caller: Caller, providers: list[FakeProvider], stream: bool
) -> None:
    """Retries of each target would multiply: three targets with three attempts each were nine requests."""
    for each in providers:
        each.behaviour = fake.refuses(500)
    await model(caller, "a", {"providerKey": "b"}, {"providerKey": "c"})
    error = await refused(caller.stream() if stream else caller.chat())
    assert reason_of(error) == "PROVIDER_FAILED"
    assert [each.asked for each in providers] == [1, 1, 1]
    (record,) = await caller.records(1)
    assert (record.attempts, record.decision.reason) == (3, "none")
    assert [each.reason for each in record.failed_attempts] == ["PROVIDER_FAILED"] * 3


async def test_two_targets_share_the_attempts(caller: Caller, providers: list[FakeProvider]) -> None:
    """After both have failed, one of them is tried once more."""
    providers[0].behaviour = fake.in_turn(fake.refuses(500), fake.answers("at last"))
    providers[1].behaviour = fake.refuses(500)
    await model(caller, "a", {"providerKey": "b", "priority": 1})
    assert said(await caller.chat()) == "at last"
    assert (providers[0].asked, providers[1].asked) == (2, 1)


async def test_priorities_are_fallbacks(caller: Caller, providers: list[FakeProvider]) -> None:
    await model(caller, "a", {"providerKey": "b", "priority": 1}, {"providerKey": "c", "priority": 2})
    assert said(await caller.chat()) == "from a"
    assert caller.headers["x-portico-route"] == "provider=a; attempts=1; policy=weighted; reason=first"
    providers[0].behaviour = providers[1].behaviour = fake.refuses(529)
    assert said(await caller.chat()) == "from c"
    assert caller.headers["x-portico-route"] == "provider=c; attempts=3; policy=weighted; reason=failover"
    assert said(await caller.chat()) == "from c"
    assert (providers[0].asked, providers[1].asked) == (2, 1)  # they cool down


async def test_a_rate_limited_target_is_left_alone_for_as_long_as_it_says(
    caller: Caller, providers: list[FakeProvider]
) -> None:
    providers[0].behaviour = fake.refuses(429, headers={"retry-after": "30"})
    await model(caller, "a", {"providerKey": "b"})
    for _ in range(10):
        assert said(await caller.chat()) == "from b"
    assert providers[0].asked == 1


async def test_calls_are_spread_by_weight(caller: Caller, providers: list[FakeProvider]) -> None:
    await model(caller, "a", {"providerKey": "b", "weight": 2.0}, {"providerKey": "c", "weight": 0.0}, weight=6.0)
    texts = Counter(await asyncio.gather(*(each(caller) for each in [_text] * 80)))
    assert texts == {"from a": 60, "from b": 20}


async def _text(caller: Caller) -> str:
    return said(await caller.chat())


async def test_each_target_is_sent_what_the_caller_asked_for(caller: Caller, providers: list[FakeProvider]) -> None:
    providers[0].behaviour = fake.refuses(500)
    await model(caller, "a", {"providerKey": "b", "modelId": "other", "priority": 1})
    answer = await caller.chat(temperature=0.5, vendor_field=[1])
    assert answer["model"] == "m"
    first, second = providers[0].bodies[0], providers[1].bodies[0]
    assert (first.pop("model"), second.pop("model")) == ("upstream-model", "other")
    assert first == second
    (record,) = await caller.records(1)
    assert (record.provider_key, record.model_id) == ("b", "other")


async def test_a_stream_that_has_begun_stays_where_it_is(caller: Caller, providers: list[FakeProvider]) -> None:
    providers[0].behaviour = fake.sends(fake.chunk({"content": "a"}), end="reset")
    await model(caller, "a", {"providerKey": "b", "priority": 1})
    frames = await caller.stream()
    assert text_of(frames) == "a"
    assert "error" in frames[-1]
    assert providers[1].asked == 0


async def test_a_client_that_leaves_frees_its_target(caller: Caller, providers: list[FakeProvider]) -> None:
    providers[0].behaviour = fake.sends(fake.chunk({"content": "a"}), end="hang")
    await model(caller, "a", {"providerKey": "b"}, policy="least_busy")
    call = caller.open_chat(b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true}')
    await call.read()
    assert [said(await caller.chat()) for _ in range(3)] == ["from b"] * 3
    call.cancel()
    async with asyncio.timeout(10):
        await providers[0].disconnected.wait()
        providers[0].behaviour = fake.answers("from a")
        while said(await caller.chat()) != "from a":
            await asyncio.sleep(0)


async def test_embeddings_fall_over_too(caller: Caller, providers: list[FakeProvider]) -> None:
    providers[0].behaviour, providers[1].behaviour = fake.refuses(500), fake.embeds()
    settings = ParseDict(
        {"routing": {"targets": [{"providerKey": "b", "modelId": "e", "priority": 1}]}}, pb.ModelSettings()
    )
    await caller.model(provider_key="a", category="embedding", settings=settings)
    answer = await caller.post_embeddings({"model": "m", "input": "x"})
    assert answer["data"][0]["embedding"] == [0.0, 0.5]


class TestShadows:
    async def test_a_shadow_gets_a_copy_and_never_touches_the_answer(
        self, caller: Caller, providers: list[FakeProvider]
    ) -> None:
        providers[1].behaviour = fake.hangs()
        await model(caller, "a", shadow={"providerKey": "b", "modelId": "new"})
        assert said(await caller.chat()) == "from a"
        async with asyncio.timeout(10):
            await providers[1].begun.wait()
        assert providers[1].bodies[0]["model"] == "new"
        assert providers[1].bodies[0]["messages"] == providers[0].bodies[0]["messages"]

    async def test_a_shadow_is_metered_as_one(self, caller: Caller, providers: list[FakeProvider]) -> None:
        await model(caller, "a", shadow={"providerKey": "b", "modelId": "new", "percent": 50})
        for _ in range(4):
            assert text_of(await caller.stream()) == "froma"
        await caller.harness.running.platform.tasks.drain(10)
        operations = Counter(record.operation for record in await caller.records(6))
        assert operations == {"chat": 4, "shadow": 2}

    async def test_a_shadow_that_fails_is_not_heard_of(self, caller: Caller, providers: list[FakeProvider]) -> None:
        providers[1].behaviour = fake.refuses(500)
        await model(caller, "a", shadow={"providerKey": "b", "modelId": "new"})
        for _ in range(10):
            assert said(await caller.chat()) == "from a"


class TestSettings:
    async def test_they_come_back_as_they_were_given(self, caller: Caller) -> None:
        made = await model(
            caller, "a", {"providerKey": "b", "weight": 0.5, "priority": 3, "timeoutSeconds": 9.0},
            policy="lowest_latency", shadow={"providerKey": "c", "modelId": "x"},
        )  # fmt: skip
        routing = made.settings.routing
        assert (routing.policy, routing.weight, routing.shadow.percent) == ("lowest_latency", 1.0, 100.0)
        (target,) = routing.targets
        assert (target.provider_key, target.weight, target.priority, target.timeout_seconds) == ("b", 0.5, 3, 9.0)

    @pytest.mark.parametrize(
        ("routing", "field"),
        [
            ({"policy": "random"}, "settings.routing.policy"),
            ({"weight": -1.0}, "settings.routing.weight"),
            ({"weight": 0.0}, "settings.routing.targets"),
            ({"targets": [{"providerKey": "b", "modelId": ""}]}, "settings.routing.targets[0].modelId"),
            ({"targets": [{"providerKey": "no", "modelId": "x"}]}, "settings.routing"),
            ({"targets": [{"providerKey": "b", "modelId": "x"}] * 16}, "settings.routing.targets"),
            ({"shadow": {"providerKey": "b", "modelId": "x", "percent": 101}}, "settings.routing.shadow.percent"),
        ],
    )
    async def test_bad_ones_are_refused(self, caller: Caller, routing: dict[str, Any], field: str) -> None:
        settings = ParseDict({"routing": routing}, pb.ModelSettings())
        assert field_of(await refused(caller.model(provider_key="a", settings=settings))) == field

    async def test_a_provider_that_is_a_target_is_in_use(self, caller: Caller) -> None:
        await model(caller, "a", {"providerKey": "b"}, shadow={"providerKey": "c", "modelId": "x"})
        for key in "abc":
            request = provider_pb.DeleteProviderRequest(id=key)
            error = await refused(caller.harness.providers.DeleteProvider(request, metadata=caller.metadata))
            assert reason_of(error) == "PROVIDER_IN_USE"

    async def test_a_target_whose_provider_is_disabled_is_left_out(
        self, caller: Caller, providers: list[FakeProvider]
    ) -> None:
        await model(caller, "a", {"providerKey": "b", "priority": 1})
        request = provider_pb.UpdateProviderRequest(id="a", status="disabled")
        await caller.harness.providers.UpdateProvider(request, metadata=caller.metadata)
        assert said(await caller.chat()) == "from b"
        assert providers[0].asked == 0
