"""Finish reasons, in OpenAI's terms."""

ERROR = "error"
_STOP, _LENGTH, _TOOL_CALLS = "stop", "length", "tool_calls"
_TURN_ENDED = "end_turn"

_WORDS = {
    _TURN_ENDED: _STOP,
    "stop_sequence": _STOP,
    "eos": _STOP,
    "eos_token": _STOP,
    "STOP": _STOP,
    "max_tokens": _LENGTH,
    "MAX_TOKENS": _LENGTH,
    "model_length": _LENGTH,
    "tool_use": _TOOL_CALLS,
    "SAFETY": "content_filter",
}
"""Finish reasons of Anthropic, Google, Together and Mistral; others pass as they are."""


def finish_reason(said: object, *, calls_tools: bool) -> str | None:
    """OpenAI's finish reason; None while the answer is open: where nothing is said, or an empty text."""
    if type(said) is not str or not said:
        return None
    if said == _TURN_ENDED and calls_tools:
        return _TOOL_CALLS
    return _WORDS.get(said, said)


def default_reason(*, calls_tools: bool) -> str:
    """The finish reason of an answer that ended without one."""
    return _TOOL_CALLS if calls_tools else _STOP
