"""Inference and vector as the rag service sees them, in memory: embeddings by words, exact search, chats by script."""

import math
import zlib
from array import array
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from operator import mul
from typing import Any

from core import context
from core.errors import FailedPrecondition, NotFound, PorticoError
from services.rag.app_knowledge import Services
from services.rag.ports import ChatAnswer, ChatMessage, IndexInfo, IndexRef, Ranking, Vector, VectorMatch, VectorPoint
from services.vector.domain.filters import parse
from tests.support.exact_engine import matches

DIMENSION = 256
Rank = Callable[[str, Sequence[tuple[str, float]]], list[tuple[int, float]]]


def embedding(text: str, dimension: int = DIMENSION) -> Vector:
    """The words of a text as a vector of length 1: texts with the same words are near."""
    values = [0.0] * dimension
    for word in text.lower().replace(".", " ").replace(":", " ").split():
        values[zlib.crc32(word.encode()) % dimension] += 1.0
    length = math.sqrt(sum(value * value for value in values)) or 1.0
    return array("f", (value / length for value in values))


class FakeEmbedder:
    """An Embedder. `models` gives each model's dimension."""

    def __init__(self) -> None:
        self.models = {"words": DIMENSION}
        self.texts: list[str] = []
        """All that was embedded."""
        self.error: PorticoError | None = None

    async def embed(self, model_key: str, texts: Sequence[str]) -> list[Vector]:
        if self.error is not None:
            raise self.error
        if model_key not in self.models:
            raise FailedPrecondition("No such model.", reason="EMBEDDING_MODEL", field="embeddingModelKey")
        self.texts += texts
        return [embedding(text, self.models[model_key]) for text in texts]


class FakeChat:
    """A ChatModel that gives the answers of `answers`, one after the other, and its last one again and again."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[Sequence[ChatMessage]] = []
        self.error: PorticoError | None = None

    async def answer(
        self,
        model_key: str,
        messages: Sequence[ChatMessage],
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
        json_schema: Mapping[str, Any] | None = None,
    ) -> ChatAnswer:
        self.asked.append(messages)
        if self.error is not None:
            raise self.error
        return ChatAnswer(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])

    async def stream(
        self,
        model_key: str,
        messages: Sequence[ChatMessage],
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> AsyncGenerator[ChatAnswer, None]:
        """The same answer word by word; the last chunk has the tokens."""
        whole = await self.answer(model_key, messages, temperature=temperature, max_tokens=max_tokens)
        for word in whole.text.split(" "):
            yield ChatAnswer(f"{word} ")
        yield ChatAnswer("", input_tokens=10, output_tokens=5)


class FakeVectors:
    """A Vectors. Indexes belong to the project of the present request, as those of the vector service do."""

    def __init__(self) -> None:
        self.infos: dict[tuple[object, IndexRef], IndexInfo] = {}
        self.points: dict[tuple[object, IndexRef], dict[str, VectorPoint]] = defaultdict(dict)
        self.providers = {"default"}
        self.error: PorticoError | None = None
        self.writing: Callable[[], None] = lambda: None
        """Called before and after each write."""

    async def index(self, ref: IndexRef) -> IndexInfo:
        return self.infos[self._find(ref)]

    async def ensure_index(
        self, provider_key: str, name: str, dimension: int, *, metric: str = "cosine", hybrid: bool = False
    ) -> IndexInfo:
        self._fail()
        if provider_key not in self.providers:
            raise NotFound("No such provider.", reason="PROVIDER_NOT_FOUND", field="providerKey")
        ref = IndexRef(provider_key, name)
        self.writing()
        info = self.infos[_project(), ref] = IndexInfo(ref, dimension, metric.replace("dotproduct", "dot"), hybrid)
        self.writing()
        return info

    async def delete_index(self, ref: IndexRef) -> None:
        self._fail()
        self.writing()
        self.infos.pop((_project(), ref), None)
        self.points.pop((_project(), ref), None)
        self.writing()

    async def upsert(self, ref: IndexRef, points: Sequence[VectorPoint]) -> None:
        self._fail()
        key = self._find(ref)
        assert all(len(point.values) == self.infos[key].dimension for point in points)
        self.writing()
        self.points[key].update({point.id: point for point in points})
        self.writing()

    async def delete(self, ref: IndexRef, *, ids: Sequence[str] = (), filter: Mapping[str, Any] | None = None) -> int:
        self._fail()
        assert bool(ids) != bool(filter)
        points = self.points[self._find(ref)]
        gone = set(ids) & points.keys() if ids else {each.id for each in points.values() if _meets(each, filter)}
        self.writing()
        for id in gone:
            del points[id]
        self.writing()
        return len(gone)

    async def query(
        self,
        ref: IndexRef,
        vector: Sequence[float],
        *,
        top_k: int,
        filter: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> list[VectorMatch]:
        self._fail()
        key = self._find(ref)
        parse(filter)
        euclidean = self.infos[key].metric == "euclidean"
        found = [
            VectorMatch(
                each.id,
                math.dist(vector, each.values) if euclidean else sum(map(mul, vector, each.values)),
                each.metadata,
            )
            for each in self.points[key].values()
            if _meets(each, filter)
        ]
        return sorted(found, key=lambda match: match.score, reverse=not euclidean)[:top_k]

    async def fetch(self, ref: IndexRef, ids: Sequence[str]) -> dict[str, Vector]:
        self._fail()
        points = self.points[self._find(ref)]
        return {id: array("f", points[id].values) for id in ids if id in points}

    async def count(self, ref: IndexRef, filter: Mapping[str, Any] | None = None) -> int:
        return sum(_meets(each, filter) for each in self.points[self._find(ref)].values())

    def _find(self, ref: IndexRef) -> tuple[object, IndexRef]:
        key = (_project(), ref)
        if key not in self.infos:
            raise NotFound("No such index.", reason="INDEX_NOT_FOUND", field="indexId")
        return key

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


def fake_services() -> Services:
    """All of them, for a rag service."""
    return services_of(FakeEmbedder(), FakeVectors())


def services_of(embedder: "FakeEmbedder", vectors: "FakeVectors", chat: Any = None) -> Services:
    """These, and stand-ins for the others."""
    chat = chat or FakeChat("none")
    return Services(embedder, chat, vectors, reranker=FakeReranker(), models=FakeModels())


def _project() -> object:
    request = context.current()
    return None if request is None or request.identity is None else request.identity.project


def _meets(point: VectorPoint, filter: Mapping[str, Any] | None) -> bool:
    return matches(parse(filter) if filter else None, point.metadata)


class FakeReranker:
    """A Reranker that ranks as `rank` says; without one it keeps the order."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Sequence[tuple[str, float]]]] = []
        self.rank: Rank | None = None
        self.warnings: Sequence[str] = ()

    async def rerank(self, reranker_key: str, query: str, documents: Sequence[tuple[str, float]]) -> Ranking:
        self.asked.append((reranker_key, query, documents))
        kept = [(index, score) for index, (_, score) in enumerate(documents)]
        return Ranking(self.rank(query, documents) if self.rank else kept, warnings=self.warnings)


def ranking(word: str) -> Rank:
    """Texts with this word first, with the score 1."""

    def rank(query: str, documents: Sequence[tuple[str, float]]) -> list[tuple[int, float]]:
        scores = [(index, float(word in text)) for index, (text, _) in enumerate(documents)]
        return sorted(scores, key=lambda each: -each[1])

    return rank


class FakeModels:
    """A Models whose project has one embedding model, or none."""

    def __init__(self, embedding_model: str = "words") -> None:
        self.oldest = embedding_model

    async def embedding_model(self) -> str:
        if not self.oldest:
            raise FailedPrecondition("No embedding model.", reason="EMBEDDING_MODEL", field="embedding_model")
        return self.oldest
