"""The request messages of a call, from the transport to the servicer: each waits for its turn, arrives in time, and is
parsed."""

import asyncio
from contextlib import suppress
from typing import Any

from grpc.aio import EOF, AbortError

from core.errors import InvalidInput, PorticoError
from core.rpc.arrivals import Arrivals, Kind, Task
from core.rpc.call import RpcCall, Transport
from core.rpc.limits import LOOK_SECONDS
from core.rpc.parsing import Deserialize, Parser
from core.rpc.policy import Policy


class Requests:
    """The request messages of one RPC. Its methods raise what `Parser` raises, and RateLimited where too many of the
    caller's messages are arriving."""

    def __init__(
        self, policy: Policy, deserialize: Deserialize, arrivals: Arrivals, arriving_bytes: int, *, streaming: bool
    ) -> None:
        """`arriving_bytes` is what the transport may take in of a message before it is refused. 0: it refuses by the
        RPC's own limit, and says what has arrived."""
        self._parser = Parser(deserialize, policy.max_request_bytes, policy.max_request_fields)
        self._slots = arrivals.slots(Kind(policy.max_request_bytes, arriving_bytes or policy.max_request_bytes))
        self._streaming = streaming
        self._tells = not arriving_bytes
        self._times = arrivals.times

    async def read(self, call: RpcCall) -> Any:
        """The message of a unary request. Raises RequestTimeout where it does not arrive in time. Of a streaming one
        an iterator over the messages; how long to wait for each is the servicer's to say."""
        transport = call.transport
        if self._streaming:
            return _Stream(self, call.caller, transport)
        if self._tells and transport.arrived:  # nothing to wait for
            return await self._parser.parse(await transport.read())
        times = self._times
        task = times.begin()
        try:
            message = await self.next(call.caller, transport, task)
        except asyncio.CancelledError:
            times.check(task)
            raise
        finally:
            times.end(task)
        if message is EOF:
            raise InvalidInput("The call ended without a request. Send one message.")
        return message

    async def next(self, caller: str, transport: Transport, task: Task | None = None) -> Any:
        """The next message, or EOF. `task` is one whose time ends with the arrival."""
        slots = self._slots
        if not slots.take(caller):
            await slots.wait(caller)
        try:
            data = await transport.read()
            if task is not None:
                self._times.end(task)
            return EOF if data is EOF else await self._parser.parse(data)
        finally:
            slots.give_back(caller)

    async def look(self, call: RpcCall) -> Any:
        """The message of a call that is refused, for the audit log, which says what the call was about. None where
        it is a stream, is large, cannot be read, or does not arrive soon."""
        slots, caller = self._slots, call.caller
        if self._streaming or not slots.take(caller):
            return None
        try:
            with suppress(PorticoError, AbortError, TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    data = await call.transport.read()
                return None if data is EOF else self._parser.small(data)
            return None
        finally:
            slots.give_back(caller)


class _Stream:
    """An iterator that goes on after a message that is refused, so that the rest can be skipped."""

    def __init__(self, requests: Requests, caller: str, transport: Transport) -> None:
        self._requests = requests
        self._caller = caller
        self._transport = transport

    def __aiter__(self) -> "_Stream":
        return self

    async def __anext__(self) -> Any:
        message = await self._requests.next(self._caller, self._transport)
        if message is EOF:
            raise StopAsyncIteration
        return message
