"""Streamed answers whose texts are held back and changed on their way out."""

from collections.abc import Callable
from operator import is_
from typing import Any, Protocol

from services.inference.domain.pipeline.answer import Chunk

_TEXT_FIELDS = ("reasoning_content", "reasoning", "content", "refusal")
_LIST_FIELDS = ("reasoning_details", "content")
_PART_TEXTS = ("text", "summary")


class Channel(Protocol):
    """One text of a stream, such as the content of one choice: `HoldBack` and `Restorer`."""

    @property
    def holds(self) -> bool: ...

    def push(self, piece: str) -> str: ...

    def flush(self) -> str: ...


MakeChannel = Callable[[bool], Channel]
"""Makes the channel of a text; True: the text is JSON."""


class _Choice:
    """The texts of one choice. `open` is the one that came last; what it holds is given out before another begins."""

    __slots__ = ("channels", "interleaved", "open", "parts")

    def __init__(self) -> None:
        self.channels: dict[tuple[str, int], Channel] = {}
        self.parts: dict[tuple[str, int], dict[str, Any]] = {}
        """For texts that are parts of lists: the last part of each, without its text."""
        self.open: tuple[str, int] | None = None
        self.interleaved = False
        """A text went on after another had begun: none is given out early any more."""


class StreamedTexts:
    """Passes the texts of all choices of a stream through channels. Chunks of which nothing is left are left out."""

    def __init__(self, make: MakeChannel) -> None:
        self._make = make
        self.characters = 0
        """Characters of all texts so far."""
        self._choices: dict[int, _Choice] = {}
        self._frame: Chunk = {}

    def change(self, chunks: list[Chunk], *, last: bool) -> list[Chunk]:
        """The chunks that go out for these; `last`: there will be no more."""
        given: list[Chunk] = []
        for chunk in chunks:
            if chunk.get("choices"):
                self._change(chunk, given)
            else:
                given.append(chunk)
        if last:
            usage = [given.pop()] if given and not given[-1].get("choices") else []
            for index, choice in self._choices.items():
                self._flush(index, choice, given)
            given += usage
        return given

    def _change(self, chunk: Chunk, given: list[Chunk]) -> None:
        self._frame = chunk
        choices = []
        for choice in chunk["choices"]:
            index = choice["index"]
            state = self._choices.get(index)
            if state is None:
                state = self._choices[index] = _Choice()
            changed = self._choice(choice, index, state, given)
            if changed is not None:
                choices.append(changed)
        if choices:
            same = len(choices) == len(chunk["choices"]) and all(map(is_, choices, chunk["choices"]))
            given.append(chunk if same else {**chunk, "choices": choices})

    def _choice(self, choice: dict[str, Any], index: int, state: _Choice, given: list[Chunk]) -> dict[str, Any] | None:
        """The choice with what its texts give out; None where nothing is left of it."""
        delta = choice["delta"]
        changed = dict(delta)
        emptied = False
        for name in _TEXT_FIELDS:
            piece = delta.get(name)
            if type(piece) is str and piece:
                changed[name] = self._push(state, (name, 0), piece, index, given)
                emptied = emptied or not changed[name]
        for name in _LIST_FIELDS:
            if type(delta.get(name)) is list:
                changed[name], some = self._parts(name, delta[name], state, index, given)
                emptied = emptied or some
        calls = delta.get("tool_calls")
        if calls:
            changed["tool_calls"], some = self._calls(calls, state, index, given)
            emptied = emptied or some
        if choice.get("finish_reason") is not None:
            held = self._flush(index, state, given)
            return {**choice, "delta": changed} if held or changed != delta else choice
        if emptied and not _says_something(changed):
            return None
        return choice if changed == delta else {**choice, "delta": changed}

    def _parts(
        self, name: str, parts: list[Any], state: _Choice, index: int, given: list[Chunk]
    ) -> tuple[list[Any], bool]:
        """The parts of a list, such as the details of reasoning."""
        changed = []
        for at, part in enumerate(parts):
            field = next((each for each in _PART_TEXTS if type(part) is dict and part.get(each)), None)
            if field is None or type(part[field]) is not str:
                changed.append(part)
                continue
            number = part.get("index")
            key = (f"{name}.{field}", number if type(number) is int else at)
            state.parts[key] = {other: value for other, value in part.items() if other != field}
            if out := self._push(state, key, part[field], index, given):
                changed.append({**part, field: out})
        return changed, len(changed) < len(parts)

    def _calls(self, calls: Any, state: _Choice, index: int, given: list[Chunk]) -> tuple[list[Any], bool]:
        changed = []
        emptied = False
        for call in calls:
            function: dict[str, Any] = (call.get("function") if type(call) is dict else None) or {}
            piece = function.get("arguments")
            if type(piece) is not str or not piece:
                if function.get("name"):
                    self._switch(state, ("tool", call["index"]), index, given)
                changed.append(call)
                continue
            out = self._push(state, ("tool", call["index"]), piece, index, given)
            emptied = emptied or not out
            changed.append({**call, "function": {**function, "arguments": out}})
        return changed, emptied

    def _push(self, state: _Choice, key: tuple[str, int], piece: str, index: int, given: list[Chunk]) -> str:
        self.characters += len(piece)
        self._switch(state, key, index, given)
        channel = state.channels.get(key)
        if channel is None:
            channel = state.channels[key] = self._make(key[0] == "tool")
        return channel.push(piece)

    def _switch(self, state: _Choice, key: tuple[str, int], index: int, given: list[Chunk]) -> None:
        """Give out what the text before held: clients expect it before the next begins."""
        before, state.open = state.open, key
        if before is None or before == key:
            return
        if key in state.channels:
            state.interleaved = True
        if not state.interleaved and before in state.channels:
            self._give(index, before, state, given)

    def _flush(self, index: int, state: _Choice, given: list[Chunk]) -> bool:
        """Give out what all texts of the choice hold. Whether there was anything."""
        some = False
        for key, channel in state.channels.items():
            if channel.holds:
                some = True
                self._give(index, key, state, given)
        return some

    def _give(self, index: int, key: tuple[str, int], state: _Choice, given: list[Chunk]) -> None:
        """Give out what one text holds, in a chunk of its own."""
        text = state.channels[key].flush()
        if not text:
            return
        name, _, field = key[0].partition(".")
        delta: dict[str, Any] = {name: text}
        if name == "tool":
            delta = {"tool_calls": [{"index": key[1], "function": {"arguments": text}}]}
        elif field:
            delta = {name: [{**state.parts[key], field: text}]}
        choice = {"index": index, "delta": delta, "finish_reason": None}
        frame = {name: value for name, value in self._frame.items() if name in _FRAME}
        given.append({**frame, "choices": [choice]})


_FRAME = frozenset({"id", "object", "created", "model", "usage", "system_fingerprint", "service_tier"})


def _says_something(delta: dict[str, Any]) -> bool:
    """Return whether a delta has anything but empty texts."""
    for name, value in delta.items():
        if name == "tool_calls":
            if any(call.get("id") or (call.get("function") or {}).get("arguments") for call in value):
                return True
        elif value:
            return True
    return False
