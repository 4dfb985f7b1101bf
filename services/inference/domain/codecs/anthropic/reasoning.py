"""Thinking in canonical messages: the text in `reasoning_content`, and in `reasoning_details` what proves it.

The API wants its thinking back, signed, while tools are called. Callers that send an assistant's message back as they
got it send the details along. Their form is OpenRouter's, without the text: it is in `reasoning_content`, and `length`
says how much of that belongs to each block.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

FORMAT = "anthropic-claude-v1"
SIGNED, ENCRYPTED = "reasoning.text", "reasoning.encrypted"


def signed(signature: str, length: int, index: int) -> dict[str, Any]:
    """The detail of a thinking block of so many characters."""
    return {"type": SIGNED, "signature": signature, "length": length, "format": FORMAT, "index": index}


def encrypted(data: object, index: int) -> dict[str, Any]:
    """The detail of a redacted thinking block."""
    return {"type": ENCRYPTED, "data": data, "format": FORMAT, "index": index}


def blocks(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The thinking blocks of a canonical assistant's message; none for reasoning of another provider."""
    details = message.get("reasoning_details")
    text = message.get("reasoning_content")
    text, at = text if isinstance(text, str) else "", 0
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, dict) or detail.get("format") != FORMAT:
            continue
        if detail.get("type") == ENCRYPTED and isinstance(data := detail.get("data"), str):
            yield {"type": "redacted_thinking", "data": data}
        elif isinstance(signature := detail.get("signature"), str) and signature:
            length = detail.get("length")
            end = at + length if type(length) is int and length >= 0 else len(text)
            own = detail.get("text")
            yield {
                "type": "thinking",
                "thinking": own if isinstance(own, str) else text[at:end],
                "signature": signature,
            }
            at = end


def details_of(content: Iterable[Any]) -> tuple[str, list[dict[str, Any]]]:
    """The text and the details of the thinking blocks of a whole answer."""
    text, details = [], list[dict[str, Any]]()
    for block in content:
        match block.get("type"):
            case "thinking":
                thought = block.get("thinking")
                thought = thought if isinstance(thought, str) else ""
                text.append(thought)
                if isinstance(signature := block.get("signature"), str) and signature:
                    details.append(signed(signature, len(thought), len(details)))
            case "redacted_thinking":
                details.append(encrypted(block.get("data"), len(details)))
    return "".join(text), details
