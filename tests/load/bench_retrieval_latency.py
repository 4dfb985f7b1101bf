"""Latency of hybrid queries of a knowledge module over REST, with the embedding of the question apart.

Texts of words as frequent as in a language are ingested through the API; then questions are asked one after the other.
"""

import argparse
import http.client
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from tests.load import portico
from tests.load.programs import Failed

_MODULE = "bench"
_MODEL = "echo-embedding"
_WORDS = 40_000
_CHUNK_WORDS = 60
_DOCUMENT_CHUNKS = 1_000
_PATIENCE = 3_600.0


class Api:
    """One connection to the edge. Raises Failed."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def reconnect(self) -> None:
        """Connect anew, after a pause in which the edge may have closed the connection."""
        self._connection.close()

    def call(self, verb: str, path: str, body: Any = None) -> Any:
        data = None if body is None else orjson.dumps(body)
        self._connection.request(verb, path, data, self._headers)
        with self._connection.getresponse() as response:
            read = response.read()
        if response.status >= 300:
            raise Failed(f"{verb} {path}: {response.status} {read[:500]!r}")
        return orjson.loads(read)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.bench_retrieval_latency", description=__doc__)
    parser.add_argument("--chunks", type=int, default=100_000, help="chunks in the module (default %(default)s)")
    parser.add_argument("--queries", type=int, default=200, help="questions of each kind (default %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="portico-bench-") as scratch, portico.local(Path(scratch)) as running:
        try:
            _measure(Api(running.port, running.token), options.chunks, options.queries)
        except Failed as problem:
            print(problem, file=sys.stderr)
            return 1
    return 0


def _measure(api: Api, chunks: int, queries: int) -> None:
    dice = random.Random(1)
    words = [f"w{at:x}" for at in range(_WORDS)]
    weights = [1 / (at + 1) for at in range(_WORDS)]

    def text(count: int) -> str:
        return " ".join(dice.choices(words, weights, k=count))

    chunking = {"strategy": "recursive_character", "chunkSize": 1000, "chunkOverlap": 0, "separators": ["\n\n"]}
    api.call(
        "POST", "/v1/rag/modules", {"key": _MODULE, "name": "B", "embeddingModelKey": _MODEL, "chunkConfig": chunking}
    )
    began = time.perf_counter()
    for at in range(0, chunks, _DOCUMENT_CHUNKS):
        # a paragraph of more than half a chunk is a chunk of its own
        paragraphs = [text(_CHUNK_WORDS).ljust(520, ".") for _ in range(min(_DOCUMENT_CHUNKS, chunks - at))]
        body = {"fileName": f"{at}.txt", "content": "\n\n".join(paragraphs), "wait": False}
        api.call("POST", f"/v1/rag/modules/{_MODULE}/ingest", body)
    while (there := _chunks(api)) < chunks and time.perf_counter() - began < _PATIENCE:
        print(f"{there} chunks after {time.perf_counter() - began:.0f} s", flush=True)
        time.sleep(10)
    print(
        f"{_chunks(api)} chunks in {time.perf_counter() - began:.0f} s; a pause for the index to be optimised",
        flush=True,
    )
    time.sleep(30)
    api.reconnect()
    questions = [text(10) for _ in range(queries)]
    embedding = [_timed(api, "/v1/embeddings", {"model": _MODEL, "input": each}) for each in questions]
    _say("embedding of the question alone", embedding)
    for name, more in (("dense", {}), ("hybrid", {"hybrid": True})):
        took = [
            _timed(api, f"/v1/rag/modules/{_MODULE}/query", {"query": each, "topK": 10, **more}) for each in questions
        ]
        _say(name, took)


def _chunks(api: Api) -> int:
    return int(api.call("GET", f"/v1/rag/modules/{_MODULE}")["module"]["chunkCount"])


def _timed(api: Api, path: str, body: Any) -> float:
    began = time.perf_counter()
    api.call("POST", path, body)
    return (time.perf_counter() - began) * 1000


def _say(name: str, took: list[float]) -> None:
    ordered = sorted(took)
    print(f"{name}: median {median(ordered):.1f} ms, p95 {ordered[int(len(ordered) * 0.95)]:.1f} ms", flush=True)


if __name__ == "__main__":
    sys.exit(main())
