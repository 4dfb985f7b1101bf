"""A platform in memory, for tests of a service's domain as its `assemble` wires it."""

from pathlib import Path
from typing import Protocol

from core import config
from core.app import CoreSettings, Platform
from core.cache.none import NoCache
from core.lifecycle import Lifecycle
from core.shared import Shared
from core.storage.ports import DocumentStore
from core.tasks import Tasks
from tests.support.serving import environment
from tests.support.stores import MemoryStore


def memory_platform(
    service: str,
    store: DocumentStore | None = None,
    folder: Path = Path("/nonexistent"),
    shared: Shared | None = None,
) -> Platform:
    """A platform on a store in memory. Files, if a part that the test does not replace keeps any, lie in `folder`;
    `shared` is what its replicas share, if there are any. `tidy` it at the end."""
    shared = shared or Shared.in_process(NoCache())
    return Platform.on(service, config.load(CoreSettings, environment(folder)), store or MemoryStore(), shared)


class Started(Protocol):
    """A platform started in a test."""

    @property
    def lifecycle(self) -> Lifecycle: ...

    @property
    def tasks(self) -> Tasks: ...


async def tidy(started: Started) -> None:
    """Stop what was started on a platform, or on the lifecycle and tasks of a harness."""
    await started.lifecycle.stop()
    await started.tasks.drain(0.1)
