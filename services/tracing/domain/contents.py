"""The content of an event as callers see it. Pure."""

from collections.abc import Mapping
from typing import Any

import orjson

from services.tracing.domain.otlp.events import CONTENT_MARK
from services.tracing.domain.otlp.sections import sections

MAX_DEPTH = 24
"""Objects and lists inside each other that are shown; what lies deeper is shown as its JSON text. Protobuf's readers,
the edge's among them, take 100 levels of messages, and each of these is three."""


def shown(content: bytes) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Sections and metadata of a stored content."""
    if not content:
        return [], {}
    stored: dict[str, Any] = orjson.loads(content)
    if CONTENT_MARK not in stored:
        return [bounded(each) for each in stored.get("sections", [])], bounded(stored.get("metadata", {}))
    attributes, events = stored.get("attributes", {}), stored.get("events", [])
    made = [bounded(each) for each in sections(attributes, events)]
    return made, bounded(_metadata(stored, attributes, events))


def _metadata(stored: Mapping[str, Any], attributes: Mapping[str, Any], events: list[Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"attributes": attributes}
    if stored[CONTENT_MARK]:
        metadata["scope"] = stored[CONTENT_MARK]
    if events:
        metadata["events"] = events
    return metadata


def bounded(value: Any, depth: int = 1) -> Any:
    """The value, with what lies too deep as its JSON text."""
    if isinstance(value, dict | list) and depth > MAX_DEPTH:
        return orjson.dumps(value).decode()
    if isinstance(value, dict):
        return {name: bounded(each, depth + 1) for name, each in value.items()}
    if isinstance(value, list):
        return [bounded(each, depth + 1) for each in value]
    return value
