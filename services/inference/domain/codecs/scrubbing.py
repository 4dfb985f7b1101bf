"""Removal of secrets from providers' texts before callers see them."""

import re
from collections.abc import Callable
from typing import Any

Scrub = Callable[[str], str]

_KEY_LIKE = re.compile(r"(?i)\b(?:sk-|ptc_|gsk_|bearer\s+)[A-Za-z0-9_.*~+/=-]{6,}")


def scrubber(secrets: tuple[str, ...], model_id: str, model_key: str) -> Scrub:
    """A function that removes the route's secrets and whatever looks like a key from a text, and puts the public model
    key."""
    private = re.compile(rf"(?<![\w-]){re.escape(model_id)}(?![\w-])") if model_id != model_key else None

    def scrub(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, "***")
        text = _KEY_LIKE.sub("***", text)
        return text if private is None else private.sub(lambda _: model_key, text)

    return scrub


def scrub_values(value: Any, scrub: Scrub) -> Any:
    """A JSON value with all its texts scrubbed; names of fields are left."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, list):
        return [scrub_values(each, scrub) for each in value]
    if isinstance(value, dict):
        return {name: scrub_values(each, scrub) for name, each in value.items()}
    return value
