"""The local models in memory, and the threads that run them.

The threads are as many as there should be busy cores; each runs one batch at a time, at a lower priority than the event
loop's thread, so that chats are answered while texts are embedded. A request is cut into batches of texts of about the
same length. Tenants take turns: a batch of each is queued at a time, so one that embeds a library does not make another
wait for it.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from core import context, logs
from core.bounded import BoundedDict
from core.errors import FailedPrecondition, NotFound, RateLimited
from core.runtime_pool import RuntimePool
from services.inference.adapters.local.folder import EMBEDS, RANKS, ModelFolder, Unusable, read_folder
from services.inference.adapters.local.network import Batch, Floats, Network

_BATCH_TOKENS = 2048
"""Tokens of a batch, padding included: more take more memory and are no faster."""
_TOKENIZED = 64
"""Texts that are tokenized at a time."""
_NICE = 10
_IDLE_SECONDS = 900.0

log = logs.get(__name__)

T = TypeVar("T")


class Result(NamedTuple):
    """The values of all inputs of a request, in their order, the tokens that were read, and which inputs were cut."""

    values: Floats
    tokens: int
    truncated: list[int]


class LocalModels:
    """The models in the folders below `root`. `threads` run them, `capacity` of them are kept in memory, and at most
    `max_waiting` characters wait to be read."""

    def __init__(self, root: Path, *, threads: int, capacity: int, max_waiting: int) -> None:
        self._root = root
        self._threads = threads
        self._max_waiting = max_waiting
        self._waiting = 0
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="local-model", initializer=_lower_priority)
        self._pool: RuntimePool[str, Network] = RuntimePool(capacity, _IDLE_SECONDS, _forget)
        self._turns: BoundedDict[str, asyncio.Semaphore] = BoundedDict(10_000)

    async def embed(self, name: str, texts: Sequence[str], use: str = "") -> Result:
        """The vectors of texts. `use` names a prompt of the model's folder. Raises NotFound (no such folder),
        FailedPrecondition (one that cannot be used), RateLimited."""
        with self._admitted(sum(map(len, texts))):
            network = await self._network(name, EMBEDS)
            prompt = network.folder.prompt(use)
            given = [prompt + text for text in texts] if prompt else list(texts)
            return await self._run(given, network.tokenize, network.embed)

    async def score(self, name: str, query: str, texts: Sequence[str]) -> Result:
        """The relevance of each text to the query, 0 to 1. Raises as `embed`."""
        with self._admitted(sum(map(len, texts)) + len(query) * len(texts)):
            network = await self._network(name, RANKS)
            return await self._run(list(texts), lambda part: network.tokenize_pairs(query, part), network.score)

    async def sweep(self) -> None:
        """Forget the models that nobody has used for a while."""
        await self._pool.sweep()

    async def close(self) -> None:
        """Let what runs end, and begin nothing more."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        await self._pool.close()

    @contextmanager
    def _admitted(self, characters: int) -> Iterator[None]:
        """Count the characters of a request while it is there. Raises RateLimited where there would be too many."""
        if self._waiting and self._waiting + characters > self._max_waiting:
            raise RateLimited(
                "The local models have too much to do. Send this again in a moment.",
                reason="LOCAL_MODELS_BUSY",
                retry_after=1.0,
            )
        self._waiting += characters
        try:
            yield
        finally:
            self._waiting -= characters

    async def _network(self, name: str, kind: str) -> Network:
        network = await self._pool.get(name, lambda: self._in_thread(lambda: self._load(name)))
        if network.folder.kind != kind:
            does = "embeds texts" if network.folder.kind == EMBEDS else "ranks documents"
            raise FailedPrecondition(
                f"The local model {name} {does}. Choose a model of the right category.",
                reason="WRONG_MODEL_CATEGORY",
                field="model",
            )
        return network

    def _load(self, name: str) -> Network:
        try:
            network = Network(self._folder(name))
        except Unusable as unusable:
            raise FailedPrecondition(
                f"The local model {name} cannot be used: {unusable}.", reason="LOCAL_MODEL_UNUSABLE", field="model"
            ) from None
        log.info("local model loaded", model=name, kind=network.folder.kind, max_tokens=network.folder.max_tokens)
        return network

    def _folder(self, name: str) -> ModelFolder:
        """The folder of this name, directly below the root. A name with a separator, or a link that leads out, names
        none."""
        root = self._root.resolve()
        path = (root / name).resolve() if name and "\0" not in name else root
        if path.parent != root or path.name != name or not path.is_dir():
            raise NotFound(
                f"There is no local model {name[:128]}. Its operator puts it into the folder of local models.",
                reason="LOCAL_MODEL_NOT_FOUND",
                field="model",
            )
        return read_folder(path)

    async def _run(
        self,
        texts: Sequence[str],
        tokenize: Callable[[Sequence[str]], list[Any]],
        run: Callable[[Sequence[Any]], Batch],
    ) -> Result:
        """Run a model over texts, in batches of about the same length, and put the results in order again."""
        parts = [texts[start : start + _TOKENIZED] for start in range(0, len(texts), _TOKENIZED)]
        tokenized = await asyncio.gather(*(self._in_turn(partial(tokenize, part)) for part in parts))
        encodings = [encoding for part in tokenized for encoding in part]
        plan = batches([len(each.ids) for each in encodings], _BATCH_TOKENS)
        runs = (partial(run, [encodings[at] for at in places]) for places in plan)
        done = await asyncio.gather(*map(self._in_turn, runs))
        values = np.concatenate([each.values for each in done])[np.argsort(np.concatenate(plan))]
        cut = sorted(at for at, encoding in enumerate(encodings) if encoding.overflowing)
        return Result(values, sum(each.tokens for each in done), cut)

    async def _in_turn(self, work: Callable[[], T]) -> T:
        """Do work in a thread; of each tenant as many at a time as there are threads."""
        request = context.current()
        tenant = request.identity.tenant.slug if request is not None and request.identity is not None else ""
        turns = self._turns.get(tenant)
        if turns is None:
            turns = self._turns[tenant] = asyncio.Semaphore(self._threads)
        async with turns:
            return await self._in_thread(work)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def batches(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Places of inputs in batches of at most `most` tokens with padding, the longest first; a batch has one input at
    least."""
    found: list[list[int]] = []
    width = 0
    for at in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if not found or (len(found[-1]) + 1) * width > most:
            found.append([])
            width = lengths[at]
        found[-1].append(at)
    return found


def _lower_priority() -> None:
    """Let the event loop's thread go first. On Linux the priority is a thread's own."""
    if hasattr(os, "setpriority"):
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(19, os.getpriority(os.PRIO_PROCESS, thread) + _NICE))


async def _forget(network: Network) -> None:
    """Its memory is free as soon as nobody refers to it."""
