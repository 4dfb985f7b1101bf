"""Abilities of a Claude model, by the version in its name. A name without one belongs to a server that speaks the
Messages API for other models: it is asked for nothing new."""

import re

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_ADAPTIVE_THINKING = (4, 6)
_OUTPUT_FORMAT = (4, 5)


def thinks_adaptively(model_id: str) -> bool:
    """Return whether the model decides itself how much to think, and takes no budget of tokens."""
    return _version(model_id) >= _ADAPTIVE_THINKING


def has_output_format(model_id: str) -> bool:
    """Return whether the API holds the model to a JSON schema."""
    return _version(model_id) >= _OUTPUT_FORMAT


def _version(model_id: str) -> tuple[int, int]:
    found = _VERSION.search(model_id)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)
