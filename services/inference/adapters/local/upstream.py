"""The local models as a provider: OpenAI's embeddings and Jina's rerank, without a network."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

from core.errors import PayloadTooLarge
from core.http.ports import Response, Stream, Timeouts
from core.offload import offload
from services.inference.adapters.local.limits import MAX_CHARACTERS
from services.inference.adapters.local.models import LocalModels, Result
from services.inference.adapters.local.network import Floats
from services.inference.domain.json_values import decode, encode

_HEADERS: Mapping[bytes, bytes] = {b"content-type": b"application/json"}


class LocalUpstream:
    """Implements `core.http.ports.Upstream`."""

    def __init__(self, models: LocalModels) -> None:
        self._models = models

    async def post(
        self,
        target: bytes,
        headers: bytes,
        body: bytes,
        *,
        extra_headers: bytes = b"",
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
    ) -> Response:
        request = await offload(lambda: decode(body), len(body))
        return await (self._rank(request) if target.endswith(b"/rerank") else self._embed(request))

    async def get(
        self,
        target: bytes,
        headers: bytes,
        *,
        extra_headers: bytes = b"",
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
    ) -> Response:
        return Response(404, _HEADERS, b"{}")

    async def stream(
        self,
        target: bytes,
        headers: bytes,
        body: bytes,
        *,
        extra_headers: bytes = b"",
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
    ) -> Stream:
        raise TypeError("embeddings are not streamed")

    async def close(self) -> None:
        """The models outlive the provider: others use them."""

    async def _embed(self, request: Mapping[str, Any]) -> Response:
        given = request["input"]
        texts = given if isinstance(given, list) else [given]
        if not all(isinstance(text, str) for text in texts):
            return _refused("A local model takes texts, not tokens: it has a vocabulary of its own.", "input")
        if request.get("dimensions") is not None:
            return _refused("A local model's vectors have one length. Leave dimensions out.", "dimensions")
        _check_size(sum(map(len, texts)), "input")
        use = request.get("input_type")
        done = await self._models.embed(request["model"], texts, use if isinstance(use, str) else "")
        form = _base64 if request.get("encoding_format") == "base64" else _numbers
        body = await offload(lambda: encode(_embeddings(done, form)), done.values.nbytes)
        return Response(200, _HEADERS, body)

    async def _rank(self, request: Mapping[str, Any]) -> Response:
        query, documents = request["query"], request["documents"]
        _check_size(len(query) * len(documents) + sum(map(len, documents)), "documents")
        done = await self._models.score(request["model"], query, documents)
        results = [{"index": at, "relevance_score": float(score)} for at, score in enumerate(done.values)]
        return Response(200, _HEADERS, encode({"results": results, "usage": _usage(done)}))


def _embeddings(done: Result, form: Callable[[Floats], str | list[float]]) -> dict[str, Any]:
    vectors = done.values.astype("<f4", copy=False)
    data = [{"object": "embedding", "index": at, "embedding": form(vector)} for at, vector in enumerate(vectors)]
    return {"object": "list", "data": data, "usage": _usage(done), "truncated": done.truncated}


def _usage(done: Result) -> dict[str, int]:
    return {"prompt_tokens": done.tokens, "total_tokens": done.tokens}


def _base64(vector: Floats) -> str:
    return base64.b64encode(vector.tobytes()).decode()


def _numbers(vector: Floats) -> list[float]:
    numbers: list[float] = vector.tolist()
    return numbers


def _refused(message: str, param: str) -> Response:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return Response(400, _HEADERS, encode({"error": error}))


def _check_size(characters: int, field: str) -> None:
    if characters > MAX_CHARACTERS:
        raise PayloadTooLarge(
            f"A local model takes at most {MAX_CHARACTERS} characters at once. Send fewer texts.", field=field
        )
