"""Interface of a stage of the chain, and the outcome of a call that it learns."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from core.errors import PorticoError
from core.rpc.call import RpcCall


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a call, as far as the service decides it: a client that vanishes later is not seen."""

    code: str
    """Name of the gRPC status code."""
    error: PorticoError | None = None
    """Error that the caller is told; None for a success, a cancelled call, and a status that gRPC's own code has
    set."""
    cancelled: bool = False
    """The caller hung up, or its deadline passed, before the call was answered."""


SUCCEEDED = Outcome("OK")


class Stage(Protocol):
    """One concern. `begin` may refuse the call by raising a PorticoError. `end` runs once for every stage that began,
    in the reverse order, before the caller is told of an error; it must not raise."""

    def begin(self, call: RpcCall) -> Awaitable[None] | None:
        """Return what is left to be awaited, if anything. A stage that counts must leave nothing: a call that is
        cancelled there has not begun, and would stay counted."""

    def end(self, call: RpcCall, outcome: Outcome) -> None: ...
