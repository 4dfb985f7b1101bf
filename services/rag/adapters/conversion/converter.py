"""The service's side of a conversion: starts a worker process, waits for it, and makes sure that it ends."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import IO

from core import children, logs
from core.children import Child
from core.disk import on_disk, scratch_file, write_all
from core.errors import PorticoError, Unavailable, Unprocessable, UnsupportedMedia
from services.rag.adapters.conversion.sandbox import MIB, START_SECONDS, Limits
from services.rag.adapters.conversion.worker import READY, Outcome
from services.rag.domain.files.kinds import Kind

log = logs.get(__name__)

_WORKER = "services.rag.adapters.conversion.worker"
_READ = 256 * 1024
_STARTS = 3
"""Processes that are started for one document: one that ends before it is ready to read has not failed over it."""
_ENDED = {
    -signal.SIGXCPU: Outcome.TIME,
    -signal.SIGALRM: Outcome.TIME,
    -signal.SIGABRT: Outcome.MEMORY,  # libraries in Rust abort where an allocation fails
}


class _NotStarted(Exception):
    """The worker did not start: none has read the document."""


class ProcessConverter:
    """A Converter of the ports. Documents and Markdown lie in `folder` meanwhile, in files without names: whatever
    happens to either process, nothing stays."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder = folder
        self._limits = limits

    @asynccontextmanager
    async def convert(self, kind: Kind, content: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
        make = partial(scratch_file, self._folder)
        with await on_disk(make) as document, await on_disk(make) as markdown:
            async for chunk in content:
                await on_disk(partial(write_all, document, chunk))
            document.seek(0)
            await self._run(kind, document, markdown)
            yield _chunks(markdown)

    async def _run(self, kind: Kind, document: IO[bytes], markdown: IO[bytes]) -> None:
        for _ in range(_STARTS):
            try:
                outcome, detail = await self._attempt(kind, document, markdown)
                break
            except _NotStarted as failure:
                log.warning("no process for a conversion", error=str(failure))
        else:
            raise Unavailable("The converter could not be started. Try again in a moment.", retry_after=5.0)
        if outcome is not Outcome.DONE:
            log.info("document not converted", kind=kind.value, outcome=outcome, detail=detail)
            raise self._refusal(outcome)

    async def _attempt(self, kind: Kind, document: IO[bytes], markdown: IO[bytes]) -> tuple[Outcome | None, str]:
        """Return the worker's outcome, and a detail for the log. None: it broke down. Raises _NotStarted."""
        output = markdown.fileno()
        worker = children.running(
            (sys.executable, "-P", "-s", "-B", "-m", _WORKER, kind.value, str(output), *self._limits.arguments()),
            stdin=document,
            stderr=subprocess.DEVNULL,
            pass_fds=(output,),
            env=_environment(),
            cwd="/",
        )
        try:
            async with worker as (process, said):
                return await self._outcome(process, said)
        except OSError as error:
            raise _NotStarted(error.strerror) from error

    async def _outcome(self, process: Child, said: asyncio.StreamReader) -> tuple[Outcome | None, str]:
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await said.readline()
        except TimeoutError:
            raise _NotStarted("it takes too long to load") from None
        if not line:
            raise _NotStarted(f"ended with {await process.wait()}")
        try:
            async with asyncio.timeout(self._limits.seconds):
                if line == READY:
                    line = await said.readline()
                if line:
                    word, _, detail = line.decode().strip().partition(" ")
                    return Outcome(word), detail
                await process.wait()
        except TimeoutError:
            return Outcome.TIME, ""
        except ValueError:  # it has said what it never says: the document has taken it over
            return None, "said something else"
        return _ENDED.get(process.returncode or 0), f"ended with {process.returncode}"

    def _refusal(self, outcome: Outcome | None) -> PorticoError:
        match outcome:
            case Outcome.EMPTY:
                return _unsupported("There is no text in the document. Text in pictures is not read.")
            case Outcome.UNSUPPORTED:
                return _unsupported("Only PDF, DOCX, PPTX, XLSX, HTML, CSV and text can be converted to Markdown.")
            case Outcome.ENCRYPTED:
                return _failed("The document is protected with a password.")
            case Outcome.BOMB:
                return _failed("The document would unpack to much more than a document should.")
            case Outcome.ENTITIES:
                return _failed("The document defines XML entities, which Office documents may not.")
            case Outcome.TOO_DEEP:
                return _failed("The document is nested too deeply.")
            case Outcome.TIME:
                return _failed(f"The conversion took more than {self._limits.seconds} seconds.")
            case Outcome.MEMORY:
                return _failed(f"The conversion needs more than {self._limits.memory // MIB} MiB of memory.")
            case Outcome.TOO_LONG:
                return _failed(f"The Markdown would be longer than {self._limits.output // MIB} MiB.")
            case Outcome.DAMAGED:
                return _failed("The document is damaged, or not what its name says.")
            case _:
                return _failed("The converter broke down over this document.")


def _environment() -> dict[str, str]:
    """Return the worker's environment, without the service's own, which holds secrets. Numeric libraries start no
    threads."""
    return {
        "PYTHONPATH": os.pathsep.join(each for each in sys.path if each),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


async def _chunks(file: IO[bytes]) -> AsyncGenerator[bytes, None]:
    file.seek(0)
    while chunk := await on_disk(partial(file.read, _READ)):
        yield chunk


def _failed(message: str) -> PorticoError:
    return Unprocessable(message, reason="CONVERSION_FAILED", field="objectKey")


def _unsupported(message: str) -> PorticoError:
    return UnsupportedMedia(message, reason="NOT_CONVERTIBLE", field="objectKey")
