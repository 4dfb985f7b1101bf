"""Compiled records: read once for all who ask, compiled once for each version."""

import asyncio
from typing import Any

import pytest

from core.errors import FailedPrecondition, Unavailable
from core.tenancy import Project, Tenant
from services.inference.domain.guardrails import compiled
from services.inference.domain.guardrails.compiled import CompiledRecords, Source
from services.inference.domain.guardrails.records import NewGuardrail, NewWordList, WordList, WordListChanges
from services.inference.domain.guardrails.sources import guards
from services.inference.domain.guardrails.store import Guardrails
from services.inference.domain.guardrails.word_lists_store import WordLists
from tests.support.stores import MemoryStore

PROJECT, OTHER = Project(Tenant("acme"), "p"), Project(Tenant("acme"), "q")


class Store:
    """Counts reads and compilations; `version` and `error` say what is there."""

    def __init__(self) -> None:
        self.version: Any = 1
        self.error: Exception | None = None
        self.reads = self.compilations = 0
        self.records = CompiledRecords(self.read)

    async def read(self, project: Project, key: str, known: object) -> Source[str]:
        self.reads += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        version = self.version

        async def compile_() -> str:
            self.compilations += 1
            await asyncio.sleep(0)
            return f"{key} {version}"

        return Source(version, compile_)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(compiled, "REFRESH_SECONDS", -1.0)  # every look-up is a new one
    return Store()


async def test_those_who_come_together_share_a_compilation() -> None:
    """A list of 20,000 words was compiled once for each call that came after its change."""
    store = Store()
    assert await asyncio.gather(*(store.records.find(PROJECT, "g") for _ in range(100))) == ["g 1"] * 100
    assert (store.reads, store.compilations) == (1, 1)
    assert await store.records.find(PROJECT, "g") == "g 1"
    assert store.reads == 1


async def test_what_has_not_changed_is_not_compiled_again(store: Store) -> None:
    for _ in range(3):
        assert await store.records.find(PROJECT, "g") == "g 1"
    assert (store.reads, store.compilations) == (3, 1)
    store.version = 2
    assert await store.records.find(PROJECT, "g") == "g 2"
    assert store.compilations == 2


async def test_a_change_in_this_process_counts_at_once() -> None:
    store = Store()
    await store.records.find(PROJECT, "g")
    await store.records.find(OTHER, "g")
    store.version = 2
    store.records.forget(PROJECT)
    assert await store.records.find(PROJECT, "g") == "g 2"
    assert await store.records.find(OTHER, "g") == "g 1"


async def test_while_the_store_is_away_calls_go_on_with_what_is_known(store: Store) -> None:
    """Every chat of a guarded model failed as soon as the store could not be asked for five seconds."""
    await store.records.find(PROJECT, "g")
    store.error = Unavailable("away")
    assert await store.records.find(PROJECT, "g") == "g 1"
    with pytest.raises(Unavailable):
        await store.records.find(PROJECT, "new")


async def test_what_is_gone_is_gone(store: Store) -> None:
    await store.records.find(PROJECT, "g")
    store.error = FailedPrecondition("gone")
    with pytest.raises(FailedPrecondition):
        await store.records.find(PROJECT, "g")
    store.error = Unavailable("away")
    with pytest.raises(Unavailable):
        await store.records.find(PROJECT, "g")


async def test_word_lists_that_have_not_changed_are_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every five seconds, up to ten megabytes of words were read to learn that they are the same."""
    monkeypatch.setattr(compiled, "REFRESH_SECONDS", -1.0)
    store = MemoryStore()
    word_lists, reads = WordLists(store), []
    get = word_lists.get

    async def counted(project: Project, key: str, **more: Any) -> WordList:
        reads.append(key)
        return await get(project, key, **more)

    await word_lists.create(PROJECT, NewWordList("W", "w", words=("zonk",)))
    guardrails = Guardrails(store, word_lists)
    policy = {"wordFilter": {"enabled": True, "customListKeys": ["w"]}}
    await guardrails.create(PROJECT, NewGuardrail(name="G", key="g", type="preset", policy=policy))
    monkeypatch.setattr(word_lists, "get", counted)
    records = guards(guardrails, word_lists)
    first = await records.find(PROJECT, "g")
    assert await records.find(PROJECT, "g") is first
    assert reads == ["w"]
    elsewhere = WordLists(store)  # as another process changes it
    await elsewhere.update(PROJECT, "w", WordListChanges(words=("blarg",)))
    judge: Any = None
    assert not (await (await records.find(PROJECT, "g")).evaluate(judge, PROJECT, ["blarg"])).passed
    assert reads == ["w", "w"]
