"""Every limit of the RPC layer as rows of a table, from the settings, the contracts and the code that enforces it."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from core.limits import Limit
from core.rpc import limits
from core.rpc.arrivals import Arrivals, Kind
from core.rpc.http1.connection import IDLE_SECONDS, REQUEST_SECONDS
from core.rpc.http1.server import MAX_CONNECTIONS
from core.rpc.limits import MIB
from core.rpc.policy import Policy
from core.rpc.server import MAX_STREAMS
from core.rpc.settings import RpcSettings

_TOO_LARGE = "413, INVALID_ARGUMENT (PAYLOAD_TOO_LARGE); beyond the service's largest RPC: RESOURCE_EXHAUSTED"
_TOO_MANY_FIELDS = "400, INVALID_ARGUMENT (TOO_MANY_VALUES)"


def limit_table(rpc: RpcSettings, policies: Iterable[Policy]) -> list[Limit]:
    """`policies` are those of the RPCs that the table is about."""
    known = sorted(policies, key=lambda policy: policy.method)
    return [*_requests(known), *_arrivals(rpc, known), *_calls(rpc), *_transports()]


def _requests(policies: list[Policy]) -> list[Limit]:
    usual = Policy("")
    public = Policy("", public=True, max_request_bytes=limits.MAX_PUBLIC_REQUEST_BYTES)
    return [
        Limit("request", public.max_request_bytes, "bytes", "message of a public RPC", _TOO_LARGE),
        Limit("request", usual.max_request_bytes, "bytes", "message", _TOO_LARGE),
        *_exceptions("request", "bytes", _TOO_LARGE, policies, lambda policy: policy.max_request_bytes),
        Limit("fields of a request", usual.max_request_fields, "fields", "message", _TOO_MANY_FIELDS),
        *_exceptions(
            "fields of a request", "fields", _TOO_MANY_FIELDS, policies, lambda policy: policy.max_request_fields
        ),
        Limit("compressed request", 0, "bytes", "message", "UNIMPLEMENTED"),
    ]


def _exceptions(
    what: str, unit: str, answer: str, policies: list[Policy], limit_of: Callable[[Policy], int]
) -> list[Limit]:
    """A row for each limit that contracts set for RPCs of their own."""
    methods: dict[int, list[str]] = defaultdict(list)
    for policy in policies:
        usual = Policy("") if not policy.public else Policy("", max_request_bytes=limits.MAX_PUBLIC_REQUEST_BYTES)
        if limit_of(policy) != limit_of(usual):
            methods[limit_of(policy)].append(policy.method.rpartition(".")[2])
    return [Limit(what, limit, unit, f"message of {', '.join(names)}", answer) for limit, names in methods.items()]


def _arrivals(rpc: RpcSettings, policies: list[Policy]) -> list[Limit]:
    arrivals = Arrivals(memory=rpc.arriving_mb * MIB, seconds=rpc.request_seconds)
    sizes = sorted({policy.max_request_bytes for policy in policies})
    return [
        Limit("time for a request to arrive", rpc.request_seconds, "seconds", "call", "408, DEADLINE_EXCEEDED"),
        *(
            Limit(
                f"requests of at most {size} bytes that arrive at a time",
                arrivals.slots(Kind(size, size)).count,
                "calls",
                "tenant, or address without a token; fewer in a service with larger RPCs",
                "waits",
            )
            for size in sizes
        ),
        Limit(
            "calls whose request waits to arrive",
            limits.MAX_WAITING,
            "calls",
            "tenant or address, and size limit",
            "429, RESOURCE_EXHAUSTED (TOO_MANY_ARRIVING), with Retry-After",
        ),
        Limit("part of a request that is taken in unread", limits.UNREAD_BYTES, "bytes", "call", "held back"),
    ]


def _calls(rpc: RpcSettings) -> list[Limit]:
    share = "429, RESOURCE_EXHAUSTED ({}_SHARE_EXCEEDED), with Retry-After"
    return [
        Limit(
            "calls in flight",
            rpc.max_concurrent_calls,
            "calls",
            "process",
            "503, UNAVAILABLE (OVERLOADED)",
        ),
        Limit(
            "calls in flight of a tenant, while no other has any",
            rpc.tenant_share_percent,
            "percent of the calls",
            "tenant",
            share.format("TENANT"),
        ),
        Limit(
            "calls in flight without a token",
            limits.ANONYMOUS_PERCENT,
            "percent of the calls",
            "process",
            share.format("ADDRESS"),
        ),
        Limit(
            "calls in flight without a token of an address, while no other has any",
            limits.ADDRESS_SHARE_PERCENT,
            "percent of these",
            "address",
            share.format("ADDRESS"),
        ),
        Limit(
            "calls in flight to health, and to reflection",
            limits.MAX_PROBES * limits.ANONYMOUS_PERCENT // 100,
            "calls",
            "process",
            share.format("ADDRESS"),
        ),
        Limit(
            "time for a request to health or reflection to arrive",
            limits.PROBE_SECONDS,
            "seconds",
            "call",
            "DEADLINE_EXCEEDED",
        ),
    ]


def _transports() -> list[Limit]:
    return [
        Limit("metadata", limits.MAX_HEAD_BYTES, "bytes", "call", "431, RESOURCE_EXHAUSTED"),
        Limit("answer", limits.MAX_SENT_BYTES, "bytes", "message", "500, RESOURCE_EXHAUSTED"),
        Limit("calls on a connection over HTTP/2", MAX_STREAMS, "calls", "connection", "wait for another to end"),
        Limit("connections over HTTP/1.1", MAX_CONNECTIONS, "connections", "process", "closed"),
        Limit("time for a head over HTTP/1.1", REQUEST_SECONDS, "seconds", "request", "408"),
        Limit("time without a request over HTTP/1.1", IDLE_SECONDS, "seconds", "connection", "closed"),
    ]
