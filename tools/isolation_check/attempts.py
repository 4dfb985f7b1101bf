"""Attempts of each of two tenants at the other's records, and what came of them."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor

from tools.isolation_check.contracts import CREATES_BY_ID, Route, methods, path_of, routes, text_fields
from tools.isolation_check.tenants import Api, Tenant, filled

OWN, REFUSED, FAILED, REACHED, LEAKED = "own", "refused", "failed", "reached", "leaked"
RESULTS = (OWN, REFUSED, FAILED, REACHED, LEAKED)
"""Answered with the caller's own records; refused; not answered, or with a 5xx; success on a path that names the other
tenant's record; the other tenant's secret was in the answer."""
_SECONDS = 30.0
_OWN_READS = 20
"""Number of attempts for each read of the caller's own, which must show its own and nothing else."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call. `name` is the route's or the RPC's in the matrix."""

    name: str
    caller: Tenant
    victim: Tenant
    call: Callable[["Attempt"], Any]
    refuses: bool = False
    """Any success is another tenant's record reached."""


@dataclass
class Findings:
    """Results of the attempts so far."""

    matrix: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    samples: list[str] = field(default_factory=list)
    """The first attempts that did not end as they should."""

    @property
    def made(self) -> int:
        return sum(sum(row.values()) for row in self.matrix.values())

    def total(self, result: str) -> int:
        return sum(row[result] for row in self.matrix.values())

    def note(self, name: str, result: str, what: str) -> None:
        self.matrix[name][result] += 1
        if result not in (OWN, REFUSED) and len(self.samples) < 50:
            self.samples.append(f"{result}: {name}: {what[:300]}")


class Attempts:
    """The attempts of two tenants at each other, by REST and by gRPC."""

    def __init__(self, api: Api, channel: grpc.aio.Channel, tenants: tuple[Tenant, Tenant]) -> None:
        self._api = api
        self._channel = channel
        self._pairs = (tenants, tenants[::-1])
        self.findings = Findings()

    def guarded(self) -> list[Attempt]:
        """Attempts at routes whose path names a record of the other's. They come first: the rest may give the caller
        records of its own by those names."""
        found = []
        for route in routes():
            if route.names_a_record:
                for caller, victim in self._pairs:
                    named = [(name,) * route.template.count("{") for name in victim.names()]
                    found += [
                        self._rest(route, caller, victim, filled(route.template, address), address[-1])
                        for address in dict.fromkeys([*victim.addresses(route.template), *named])
                    ]
        return found

    def further(self) -> list[Attempt]:
        """Attempts at the other routes, and at all RPCs with the other's names in each text field of the request."""
        found = []
        for caller, victim in self._pairs:
            for name in victim.names():
                for route in routes():
                    if not route.names_a_record:
                        path = filled(route.template, (name,) * route.template.count("{"))
                        found.append(self._rest(route, caller, victim, path, name))
                for method in methods():
                    found += [self._rpc(caller, victim, method, each) for each in _requests(method, name)]
        found.sort(key=lambda attempt: attempt.name.rpartition("/")[2] in CREATES_BY_ID)
        return found

    async def run(self, attempts: Sequence[Attempt], concurrency: int, progress: Callable[[int], None]) -> None:
        """Make the attempts in a random order, so many at a time."""
        waiting = iter(_mixed(attempts))

        async def work() -> None:
            for number, attempt in enumerate(waiting):
                await self._make(attempt)
                if number % _OWN_READS == 0:
                    await self._read_own(attempt.caller, attempt.victim)
                progress(self.findings.made)

        await asyncio.gather(*(work() for _ in range(concurrency)))

    async def _make(self, attempt: Attempt) -> None:
        ok, failed, text = await attempt.call(attempt)
        if attempt.victim.secret in text:
            result = LEAKED
        elif failed:
            result = FAILED
        elif not ok:
            result = REFUSED
        else:
            result = REACHED if attempt.refuses else OWN
        self.findings.note(attempt.name, result, text)

    async def _read_own(self, caller: Tenant, victim: Tenant) -> None:
        """A list of the caller's own, in the middle of all that is tried."""
        collection = random.choice([each for each in caller.records if each])  # noqa: S311  # no secret
        address = (caller.records[collection] or [("",)])[-1][:-1]
        answer = await self._api.call("GET", filled(collection, address), token=caller.token)
        result = LEAKED if victim.secret in answer.text else FAILED if answer.status in (0, *range(500, 600)) else OWN
        self.findings.note("own records", result, answer.text)

    def _rest(self, route: Route, caller: Tenant, victim: Tenant, path: str, name: str) -> Attempt:
        fields: Any = route.method.input_type.fields
        body = None if route.verb == "GET" else {each.json_name: name for each in fields}
        forged = {"x-tenant-id": victim.mark, "x-portico-tenant": victim.mark, "x-user-id": victim.mark}

        async def call(attempt: Attempt) -> tuple[bool, bool, str]:
            answer = await self._api.call(route.verb, path, body, token=caller.token, headers=forged)
            failed = answer.status == 0 or (answer.status >= 500 and answer.status != 501)
            return answer.status < 400, failed, f"{path} {answer.status} {answer.text}"

        return Attempt(route.name, caller, victim, call, refuses=route.names_a_record)

    def _rpc(self, caller: Tenant, victim: Tenant, method: MethodDescriptor, request: Any) -> Attempt:
        path = path_of(method)
        answers = message_factory.GetMessageClass(method.output_type)
        metadata = (("authorization", f"Bearer {caller.token}"), ("x-tenant-id", victim.mark))

        async def call(attempt: Attempt) -> tuple[bool, bool, str]:
            open_call = _opener(self._channel, method)(path, type(request).SerializeToString, answers.FromString)
            sent = iter([request]) if method.client_streaming else request
            try:
                calling = open_call(sent, metadata=metadata, timeout=_SECONDS)
                got = [each async for each in calling] if method.server_streaming else [await calling]
            except grpc.aio.AioRpcError as error:
                failed = error.code() in _FAILURES
                return False, failed, f"{error.code().name} {error.details()} {error.trailing_metadata()}"
            return True, False, " ".join(json_format.MessageToJson(each) for each in got)

        return Attempt(path, caller, victim, call)


_FAILURES = frozenset({grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS})


def _opener(channel: grpc.aio.Channel, method: MethodDescriptor) -> Any:
    kinds = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }
    return kinds[method.client_streaming, method.server_streaming]


def _requests(method: MethodDescriptor, name: str) -> Iterator[Any]:
    """A request with the name in each text field in turn, and one with it in all of them."""
    make = message_factory.GetMessageClass(method.input_type)
    fields = text_fields(method)
    for chosen in [*([each] for each in fields if len(fields) > 1), fields]:
        request = make()
        for each in chosen:
            setattr(request, each.name, name)
        yield request


def _mixed(attempts: Sequence[Attempt]) -> list[Attempt]:
    """The attempts in random order, those that create records by the names of others' last."""
    mixed = list(attempts)
    random.shuffle(mixed)
    mixed.sort(key=lambda attempt: attempt.name.rpartition("/")[2] in CREATES_BY_ID)
    return mixed


def sample(attempts: Sequence[Attempt], count: int) -> list[Attempt]:
    """So many of the attempts, of every route and RPC alike."""
    by_name: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        by_name[attempt.name].append(attempt)
    for each in by_name.values():
        random.shuffle(each)
    chosen: list[Attempt] = []
    while len(chosen) < count and any(by_name.values()):
        for each in by_name.values():
            if each and len(chosen) < count:
                chosen.append(each.pop())
    return chosen
