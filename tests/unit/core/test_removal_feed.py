"""The calls of a service that asks auth for deleted projects."""

from collections.abc import Callable

from core.config import Secret
from core.project_removal import Removals
from core.rpc.removal_feed import RemovalFeed
from core.tasks import Tasks
from portico.auth.v1 import trust_service_pb2 as pb
from tests.support.stores import MemoryStore


class Auth:
    """Counts the calls. `during` is called within each."""

    def __init__(self) -> None:
        self.calls = 0
        self.during: Callable[[], None] = lambda: None

    async def ListDeletedProjects(self, request: object, **options: object) -> pb.ListDeletedProjectsResponse:
        self.calls += 1
        self.during()
        return pb.ListDeletedProjectsResponse()


async def test_it_asks_at_the_start_after_revocations_and_once_a_minute() -> None:
    """Each service asked every 2 s, which took a third of what an idle installation used."""
    now = 1000.0
    removals = Removals("stub", MemoryStore(), patience_seconds=1, again_seconds=1)
    feed = RemovalFeed("stub", "127.0.0.1:1", Secret("s" * 32), removals, Tasks(), clock=lambda: now)
    auth = feed._auth = Auth()  # type: ignore[assignment]
    counts = []
    for seconds, revoked in ((0, False), (1, False), (58, False), (1, False), (1, True), (1, False), (60, False)):
        now += seconds
        if revoked:
            feed.notice()
        await feed._poll_when_due()
        counts.append(auth.calls)
    assert counts == [1, 1, 1, 2, 3, 3, 4]
    now += 60
    auth.during = feed.notice
    await feed._poll_when_due()
    auth.during = lambda: None
    await feed._poll_when_due()
    assert auth.calls == 6
    await feed.close()
