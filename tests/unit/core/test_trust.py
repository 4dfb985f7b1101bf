"""Trust feed: revocations in force while a snapshot comes in chunks."""

import pytest

from core.config import Secret
from core.context import Identity, Kind
from core.revocations import Revocation, Revocations
from core.rpc.trust_feed import TrustFeed
from core.tasks import Tasks
from core.tenancy import Project, Tenant
from core.token_verifier import KeyRing
from portico.auth.v1.trust_service_pb2 import Revocation as Message
from portico.auth.v1.trust_service_pb2 import WatchRevocationsResponse as Response


@pytest.fixture
async def feed() -> TrustFeed:
    return TrustFeed("test", "127.0.0.1:1", Secret("s" * 32), KeyRing(), Revocations(), Tasks())


def revoked(feed: TrustFeed, token_id: str, issued_at: float = 50.0, kind: Kind = Kind.API) -> bool:
    project = Project(Tenant("acme"), "p1")
    return feed._revocations.is_revoked(Identity(project, "u1", kind, frozenset(), token_id, issued_at, None))


def message(token_id: str) -> Message:
    return Message(tenant="acme", token_id=token_id, api_token=True, issued_at=10.0)


async def test_a_snapshot_in_chunks_is_in_force_when_it_is_whole(feed: TrustFeed) -> None:
    """Until then what was known before is: a token must not be good again while a service reconnects."""
    feed._revocations.replace([Revocation("acme", "old", api=True)])
    feed._take(Response(snapshot=True, revocations=[message("a")], more=True))
    assert (revoked(feed, "old"), revoked(feed, "a")) == (True, False)
    feed._take(Response(revocations=[message("b")], more=True))
    assert not revoked(feed, "b")
    feed._take(Response(revocations=[message("c")]))
    assert [revoked(feed, each) for each in ("old", "a", "b", "c")] == [False, True, True, True]
    feed._take(Response(revocations=[message("news")]))
    feed._take(Response())
    assert revoked(feed, "news")


async def test_nobody_is_trusted_before_the_first_snapshot_is_whole(feed: TrustFeed) -> None:
    feed._take(Response(snapshot=True, more=True))
    assert not feed._revocations.known
    feed._take(Response())
    assert feed._revocations.known


async def test_a_snapshot_in_one_message_is_whole_at_once(feed: TrustFeed) -> None:
    """As auth sends it while there are few, and as its earlier versions did."""
    feed._take(Response(snapshot=True, revocations=[Message(tenant="acme", token_id="a")]))
    assert feed._revocations.known
    for kind in (Kind.API, Kind.SESSION):
        assert revoked(feed, "a", kind=kind)


async def test_cut_offs_of_sessions_and_of_api_tokens(feed: TrustFeed) -> None:
    feed._revocations.replace([])
    sessions = Message(tenant="acme", subject="u1", issued_before=60.0)
    tokens = Message(tenant="acme", api_tokens=True, issued_before=70.0, kept_token_ids=["alive"])
    feed._take(Response(revocations=[sessions, tokens]))
    assert [revoked(feed, "s", at, Kind.SESSION) for at in (59.0, 60.0)] == [True, False]
    assert [revoked(feed, "t", at) for at in (69.0, 70.0)] == [True, False]
    assert not revoked(feed, "alive")
