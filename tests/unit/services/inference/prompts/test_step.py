"""The step of prompts: what it costs those who name none, and how often it asks the store."""

import asyncio
from typing import Any

from core.context import Identity, Kind
from core.resilience import RetryBudget
from core.runtime_pool import RuntimePool
from core.storage.ports import Collection, Document, Where
from core.tenancy import Project, Scope, Tenant
from services.inference.domain.catalogue.models import Model
from services.inference.domain.pipeline.answer import Answer, WholeAnswer
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.prompts.compiled import MAX_AGE_SECONDS, CompiledKey, CompiledPrompts
from services.inference.domain.prompts.prompts import NewPrompt, PromptChanges, Prompts
from services.inference.domain.prompts.step import PromptStep
from services.inference.domain.prompts.templates import Template
from services.inference.domain.usage.calls import ModelCall
from services.inference.domain.usage.tokens import NO_USAGE
from tests.support.stores import MemoryStore

PROJECT = Project(Tenant("acme"), "p1")


class CountingStore(MemoryStore):
    reads = 0

    async def find_one(self, scope: Scope, collection: Collection, where: Where) -> Document | None:
        self.reads += 1
        return await super().find_one(scope, collection, where)


class Setting:
    """A step on a store that counts, with a clock that stands still."""

    def __init__(self, capacity: int = 10) -> None:
        self.now = 0.0
        self.store = CountingStore()
        self.prompts = Prompts(self.store)
        self.pool: RuntimePool[CompiledKey, Template] = RuntimePool(
            capacity, 300.0, self._nothing, MAX_AGE_SECONDS, clock=lambda: self.now
        )
        self.step = PromptStep(CompiledPrompts(self.prompts, self.pool))
        self.sent: list[dict[str, Any]] = []

    async def _nothing(self, template: Template) -> None: ...

    async def innermost(self, exchange: Exchange) -> Answer:
        self.sent.append(exchange.request)
        return WholeAnswer([{}], NO_USAGE)

    async def chat(self, **request: Any) -> dict[str, Any]:
        await self.step(exchange_of(request), self.innermost)
        return self.sent[-1]


def exchange_of(request: dict[str, Any]) -> Exchange:
    identity = Identity(PROJECT, "user", Kind.API, frozenset("*"), "token", 0.0, None)
    call = ModelCall(identity, "req-1", "chat", "m", 0.0, 0.0, None)
    return Exchange(call, request, "req-1", False, False, RetryBudget())


def test_a_request_without_a_prompt_goes_on_as_it_is() -> None:
    """Nothing is awaited, copied or wrapped."""
    exchange, awaited = (
        exchange_of({"model": "m", "messages": []}),
        asyncio.Future[Answer](loop=asyncio.new_event_loop()),
    )
    seen: list[Exchange] = []

    def call_next(given: Exchange) -> "asyncio.Future[Answer]":
        seen.append(given)
        return awaited

    assert Setting().step(exchange, call_next) is awaited
    assert seen[0] is exchange
    awaited.get_loop().close()


def test_only_chats_have_the_step() -> None:
    step = Setting().step
    assert step.of(PROJECT, Model("mdl_1", "m", "M", "llm", "p", "up")) is step
    assert step.of(PROJECT, Model("mdl_1", "m", "M", "embedding", "p", "up")) is None


async def test_the_request_itself_stays_as_it_was() -> None:
    setting = Setting()
    await setting.prompts.create(PROJECT, NewPrompt("P", "text", key="p"), by="me")
    request = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "prompt": {"id": "p"}}
    before = {**request, "messages": list(request["messages"])}
    sent = await setting.chat(**request)
    assert request == before
    assert sent == {"model": "m", "messages": [{"role": "system", "content": "text"}, *request["messages"]]}


async def test_a_compiled_prompt_is_looked_up_once_until_it_changes_or_ages() -> None:
    setting = Setting()
    await setting.prompts.create(PROJECT, NewPrompt("P", "old", key="p"), by="me")
    setting.store.reads = 0
    for _ in range(5):
        assert (await setting.chat(prompt={"id": "p"}))["messages"][0]["content"] == "old"
    assert setting.store.reads == 1
    setting.now += MAX_AGE_SECONDS + 1
    await setting.chat(prompt={"id": "p"})
    assert setting.store.reads == 2
    await setting.prompts.update(PROJECT, "p", PromptChanges(template="new"), by="me")
    assert (await setting.chat(prompt={"id": "p"}))["messages"][0]["content"] == "new"


async def test_changes_of_another_process_are_seen_in_time() -> None:
    setting = Setting()
    await setting.prompts.create(PROJECT, NewPrompt("P", "old", key="p"), by="me")
    await setting.chat(prompt={"id": "p"})
    await Prompts(setting.store).update(PROJECT, "p", PromptChanges(template="new"), by="me")
    assert (await setting.chat(prompt={"id": "p"}))["messages"][0]["content"] == "old"
    setting.now += MAX_AGE_SECONDS + 1
    assert (await setting.chat(prompt={"id": "p"}))["messages"][0]["content"] == "new"


async def test_the_number_of_compiled_prompts_is_bounded() -> None:
    setting = Setting(capacity=3)
    for at in range(10):
        await setting.prompts.create(PROJECT, NewPrompt("P", "text", key=f"p{at}"), by="me")
    for at in range(10):
        await setting.chat(prompt={"id": f"p{at}"})
        assert len(setting.pool) <= 3
