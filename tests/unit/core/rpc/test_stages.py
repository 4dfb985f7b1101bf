"""Places for calls: who gets one, and that every one is given back."""

import asyncio
import gc
import itertools
import weakref
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import ListValue
from grpc.aio import AbortError
from hypothesis import given
from hypothesis import strategies as st

from core import offload
from core.config import Secret
from core.context import RequestContext
from core.errors import InvalidInput, RateLimited, Unavailable
from core.rpc.arrivals import Arrivals
from core.rpc.call import RpcCall
from core.rpc.chain import Chain, Method
from core.rpc.policy import Policy
from core.rpc.stages.auth import Auth
from core.rpc.stages.load_shedding import LoadShedding
from core.rpc.stages.shares import Shares
from core.rpc.stages.stage import SUCCEEDED, Stage
from tests.support.tokens import Signer

SIGNER = Signer()
VERIFIER = SIGNER.verifier()
SIGNED_IN = Policy("/x.Y/SignedIn", signed_in=True)
PUBLIC = Policy("/x.Y/Public", public=True)
INTERNAL = Policy("/x.Y/Internal", internal=True)


class Harness:
    """Places for calls as a service has them, without calls."""

    def __init__(self, limit: int, percent: int = 75) -> None:
        self.load = LoadShedding(limit)
        self.shares = Shares(self.load, percent)

    def enter(self, call: RpcCall) -> None:
        """Raises what refuses the call."""
        self.load.begin(call)
        try:
            self.shares.begin(call)
        except RateLimited:
            self.load.end(call, SUCCEEDED)
            raise

    def leave(self, call: RpcCall) -> None:
        self.shares.end(call, SUCCEEDED)
        self.load.end(call, SUCCEEDED)

    def fill(self, call: Callable[[], RpcCall]) -> int:
        """Begin calls until one is refused; return how many got a place."""
        count = 0
        while True:
            try:
                self.enter(call())
            except (RateLimited, Unavailable):
                return count
            count += 1


def of_tenant(name: str) -> RpcCall:
    identity = VERIFIER.verify(SIGNER.token(tenant=name))
    return RpcCall(SIGNED_IN, {}, RequestContext("r", identity), 0.0, rest=False, transport=IDLE)


def of_address(address: str) -> RpcCall:
    return RpcCall(PUBLIC, {}, RequestContext("r", peer_address=address), 0.0, rest=False, transport=IDLE)


@pytest.mark.parametrize(("percent", "places"), [(75, 30), (50, 20), (90, 36), (100, 40)])
def test_a_tenant_alone_gets_its_percent_of_all_places(percent: int, places: int) -> None:
    assert Harness(40, percent).fill(lambda: of_tenant("acme")) == places


def test_tenants_that_take_all_they_can_leave_a_place_for_another() -> None:
    """One tenant with 42 uploads that hung took every place; all others had 503."""
    harness = Harness(40)
    assert harness.fill(lambda: of_tenant("acme")) == 30
    assert harness.fill(lambda: of_tenant("globex")) == 8
    harness.enter(of_tenant("initech"))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: of_tenant("acme"), "TENANT_SHARE_EXCEEDED"),
        (lambda: of_address("192.0.2.1"), "ADDRESS_SHARE_EXCEEDED"),
    ],
)
def test_the_refusal_says_whose_share_is_used_up(make: Callable[[], RpcCall], reason: str) -> None:
    harness = Harness(40)
    harness.fill(make)
    with pytest.raises(RateLimited) as caught:
        harness.enter(make())
    assert caught.value.reason == reason
    assert caught.value.retry_after == 1.0


def test_strangers_share_a_half_of_the_places_and_an_address_a_half_of_that() -> None:
    harness = Harness(40)
    assert harness.fill(lambda: of_address("192.0.2.1")) == 10
    assert harness.fill(lambda: of_address("192.0.2.2")) == 5
    strangers = iter(range(1000))
    assert harness.fill(lambda: of_address(f"198.51.100.{next(strangers)}")) == 5
    harness.enter(of_tenant("acme"))


def test_an_ipv6_network_is_one_stranger() -> None:
    harness = Harness(40)
    hosts = iter(range(1000))
    assert harness.fill(lambda: of_address(f"2001:db8::{next(hosts):x}")) == 10


def test_internal_calls_have_no_share() -> None:
    harness = Harness(40)
    assert harness.fill(lambda: RpcCall(INTERNAL, {}, RequestContext("r"), 0.0, rest=False, transport=IDLE)) == 40


callers = st.sampled_from(["acme", "globex", "192.0.2.1", "192.0.2.2"])


@given(st.integers(1, 12), st.integers(1, 100), st.lists(st.tuples(callers, st.booleans()), max_size=80))
def test_places_are_never_lost_and_never_more_than_there_are(
    limit: int, percent: int, steps: list[tuple[str, bool]]
) -> None:
    harness = Harness(limit, percent)
    inside: list[tuple[str, RpcCall]] = []
    for name, enters in steps:
        if enters:
            call = of_tenant(name) if name.isalpha() else of_address(name)
            try:
                harness.enter(call)
            except (RateLimited, Unavailable):
                assert inside  # nobody is refused by an empty service
                continue
            inside.append((name, call))
        elif mine := [each for each in inside if each[0] == name]:
            inside.remove(mine[0])
            harness.leave(mine[0][1])
        assert harness.load.in_flight == len(inside) <= limit
    for _, call in inside:
        harness.leave(call)
    assert harness.load.in_flight == 0
    assert harness.shares._tenants.held == harness.shares._anonymous.held == 0
    assert not harness.shares._tenants.by_caller
    assert not harness.shares._anonymous.by_caller


# -- cancellation at every await


class Context:
    """A transport that stands still at each of its awaits until the test goes on."""

    arrived = False

    def __init__(self, metadata: Iterable[tuple[str, str]]) -> None:
        self._metadata = tuple(metadata)

    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]]:
        return self._metadata

    def peer(self) -> str:
        return "ipv4:192.0.2.1:5000"

    def time_remaining(self) -> float | None:
        return None

    async def read(self) -> bytes:
        await asyncio.sleep(0)
        return b""

    async def send_initial_metadata(self, metadata: object) -> None:
        await asyncio.sleep(0)

    async def write(self, message: object) -> None:
        await asyncio.sleep(0)

    def code(self) -> int:
        return 0

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: object = ()) -> NoReturn:
        await asyncio.sleep(0)
        raise AbortError


IDLE = Context(())


class Counted:
    """A chain like a service's, and all that it counts."""

    def __init__(self) -> None:
        self.load = LoadShedding(2)
        self.shares = Shares(self.load, 75)
        self.arrivals = Arrivals()
        stages: list[Stage] = [
            self.load,
            Auth(VERIFIER, Secret("s" * 32)),
            self.shares,
        ]
        self.chain = Chain(stages, arrivals=self.arrivals, edge_secret=Secret("e" * 32))

    def method(self, *, stream: bool, fails: bool) -> Method:
        async def unary(request: Any, context: Any) -> Any:
            await asyncio.sleep(0)
            if fails:
                raise InvalidInput("No.")
            return Empty()

        async def many(request: Any, context: Any) -> Any:
            yield await unary(request, context)
            yield Empty()

        make, inner = (
            (grpc.unary_stream_rpc_method_handler, many) if stream else (grpc.unary_unary_rpc_method_handler, unary)
        )
        handler = make(inner, Empty.FromString, Empty.SerializeToString)
        return self.chain.wrap(handler, SIGNED_IN)

    def assert_nothing_is_counted(self) -> None:
        assert self.load.in_flight == 0
        assert self.shares._tenants.held == 0
        assert not self.shares._tenants.by_caller
        assert self.arrivals.idle


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("fails", [False, True], ids=["succeeds", "fails"])
@pytest.mark.parametrize("edge", ["", "e" * 32], ids=["native", "rest"])
@pytest.mark.parametrize("let_in", [True, False], ids=["let in", "refused"])
async def test_a_call_that_is_cancelled_at_any_await_is_counted_no_more(
    stream: bool, fails: bool, edge: str, let_in: bool
) -> None:
    token = SIGNER.token() if let_in else "nonsense"
    metadata = (("authorization", f"Bearer {token}"), ("x-portico-rest", "1"), ("x-portico-edge", edge))
    counted = Counted()
    method = counted.method(stream=stream, fails=fails)
    for steps in itertools.count():
        call: asyncio.Task[Any] = asyncio.ensure_future(method.run(None, Context(metadata)))
        for _ in range(steps):
            await asyncio.sleep(0)
        ended = call.done()
        call.cancel()
        await asyncio.wait([call])
        counted.assert_nothing_is_counted()
        if ended:
            assert isinstance(call.exception(), AbortError) is (fails or not let_in)
            assert steps > 1
            return


class Held(bytes):
    """Bytes whose end can be seen."""

    def __init__(self, _: bytes) -> None:
        self.mark = _Mark()


class _Mark:
    """Content of `Held`: bytes themselves cannot be watched."""


class Sent(Context):
    """A call whose message has arrived."""

    def __init__(self, data: bytes) -> None:
        super().__init__((("authorization", f"Bearer {SIGNER.token()}"),))
        self._data = data
        self.arrived = True

    async def read(self) -> bytes:
        data, self._data = self._data, b""
        return data


REFUSED = {
    "too large": (Policy("/x.Y/Z", signed_in=True, max_request_bytes=10), b"x" * 11),
    "too many fields": (Policy("/x.Y/Z", signed_in=True, max_request_fields=2000), b"\x0a\x00" * 40_000),
    "unreadable": (Policy("/x.Y/Z", signed_in=True), b"\xff"),
    "unreadable and large": (Policy("/x.Y/Z", signed_in=True), b"\xff" * 70_000),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("arriving_bytes", [0, 1 << 25], ids=["told", "not told"])
async def test_a_refused_message_is_not_kept_by_its_refusal(what: str, arriving_bytes: int) -> None:
    """gRPC holds what ends a call in a cycle, with the traceback and all that its frames hold: a gigabyte once."""
    policy, data = REFUSED[what]
    counted = Counted()

    async def never(request: Any, context: Any) -> Any:
        raise AssertionError("the request was taken")

    handler = grpc.unary_unary_rpc_method_handler(never, ListValue.FromString, Empty.SerializeToString)
    method = counted.chain.wrap(handler, policy, arriving_bytes)
    message = Held(data)
    gone = weakref.ref(message.mark)
    sent = Sent(message)
    del message
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(AbortError) as caught:
            await method.run(None, sent)
        assert caught.value.__traceback__ is not None
        await asyncio.wrap_future(offload._WORKER.submit(int))  # its thread has let go of what it did before
        assert gone() is None
    finally:
        gc.enable()
    counted.assert_nothing_is_counted()
