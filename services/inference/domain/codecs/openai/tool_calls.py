"""Tool calls in OpenAI's form: identified by their index, with arguments as text."""

from collections.abc import Iterable
from secrets import token_hex
from typing import Any

from services.inference.domain.json_values import NotJson, encode


class _ToolCall:
    __slots__ = ("id", "named")

    def __init__(self) -> None:
        self.id = ""
        self.named = False


class ToolCalls:
    """The calls of one choice, told apart as their deltas come.

    Without an index a new id, or a second name, opens the next number, and a delta without either belongs to the last
    call. With an index another id and another name open the next number too: some providers give every call of a
    message the index 0.
    """

    __slots__ = ("_calls", "_last", "_moved")

    def __init__(self) -> None:
        self._calls: dict[int, _ToolCall] = {}
        """Calls by number."""
        self._moved: dict[int, int] = {}
        """Numbers of calls by the provider's index, where the number is another."""
        self._last = 0

    def complete(self, deltas: Iterable[Any]) -> list[dict[str, Any]]:
        """The deltas, changed: with number, id, type, and arguments as text. What is none is left out."""
        return [self._delta(delta) for delta in deltas if type(delta) is dict]

    def _delta(self, delta: dict[str, Any]) -> dict[str, Any]:
        function, id, index = delta.get("function"), delta.get("id"), delta.get("index")
        if type(function) is not dict:
            function = {}
        elif (
            type(index) is int
            and index in self._calls
            and not id
            and not self._moved
            and type(function.get("arguments")) is str
        ):
            self._last = index  # more of the arguments: nearly always
            return delta
        if type(id) is not str:
            id = ""
        named = bool(function.get("name"))
        number = self._number(index if type(index) is int and index >= 0 else None, id, named)
        if number != index:
            delta["index"] = number
        call = self._calls.get(number)
        if call is None:
            call = self._calls[number] = _ToolCall()
            if not id:
                id = delta["id"] = f"call_{token_hex(12)}"
            if not delta.get("type"):
                delta["type"] = "function"
        if id:
            call.id = id
        call.named = call.named or named
        self._last = number
        arguments = function.get("arguments")
        if type(arguments) is not str and arguments is not None:
            function["arguments"] = _as_text(arguments)
        return delta

    def _number(self, index: int | None, id: str, named: bool) -> int:
        calls = self._calls
        if index is not None:
            number = self._moved.get(index, index)
            call = calls.get(number)
            if call is None or not (named and call.named and id and call.id and id != call.id):
                return number
            self._moved[index] = number = self._next()
            return number
        if id:
            known = next((number for number, call in calls.items() if call.id == id), None)
            return self._next() if known is None else known
        last = calls.get(self._last)
        return self._next() if last is None or (named and last.named) else self._last

    def _next(self) -> int:
        return max(self._calls, default=-1) + 1


def whole_calls(calls: Iterable[Any]) -> list[dict[str, Any]]:
    """The calls of a whole message, changed: with id, type, and arguments as text, `{}` where there are none."""
    found = [call for call in calls if type(call) is dict]
    for call in found:
        if not isinstance(call.get("id"), str) or not call["id"]:
            call["id"] = f"call_{token_hex(12)}"
        if not call.get("type"):
            call["type"] = "function"
        function = call.get("function")
        if isinstance(function, dict) and type(arguments := function.get("arguments")) is not str:
            function["arguments"] = "{}" if arguments is None else _as_text(arguments)
    return found


def _as_text(arguments: object) -> str:
    try:
        return encode(arguments).decode()
    except NotJson:
        return "{}"
