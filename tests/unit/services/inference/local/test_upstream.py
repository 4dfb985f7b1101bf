"""The local models as a provider, without a network of any kind."""

import json
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from core import context
from core.context import Identity, Kind, RequestContext
from core.tenancy import Project, Tenant
from services.inference.adapters.local import upstream
from services.inference.adapters.local.models import Result
from services.inference.domain.json_values import encode

SIZE = 384


class Vectors:
    """Gives each text a vector of its place."""

    async def embed(self, name: str, texts: Sequence[str], use: str = "") -> Result:
        return Result(np.arange(len(texts) * SIZE, dtype=np.float32).reshape(-1, SIZE), 1, [])


async def test_many_vectors_are_written_in_the_worker_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The most that one request takes, 2,048 texts, held the loop for a tenth of a second."""
    threads: list[int] = []

    def noted(value: Any) -> bytes:
        threads.append(threading.get_ident())
        return encode(value)

    monkeypatch.setattr(upstream, "encode", noted)
    project = Project(Tenant("acme"), "p1")
    context.bind(RequestContext("r", Identity(project, "u", Kind.API, frozenset(), "t", 0.0, None)))
    models: Any = Vectors()
    body = json.dumps({"model": "m", "input": ["x"] * 64}).encode()
    answer = await upstream.LocalUpstream(models).post(b"/embeddings", b"", body)
    assert json.loads(answer.body)["data"][63]["embedding"][0] == 63 * SIZE
    (thread,) = threads
    assert thread != threading.get_ident()
