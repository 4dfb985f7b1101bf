"""Rules by which new events and sessions are merged into the stored ones. Pure.

The totals of a session are kept up to date by what each event adds to them: an event that is merged first takes back
what it had added. So they are the sums over the stored events at any time, whatever came twice or out of order.
"""

from typing import Any

import orjson

from services.tracing.domain.records import ERROR, EVENT_FIELDS, SPAN, Event, Patch, Session

MAX_NAMES = 200
"""Models, tools and types counted by name in a session."""
OTHERS = "other"
MAX_ERRORS = 50
_TRUNCATED = frozenset({"length", "max_tokens", "max_output_tokens", "model_length", "token_limit", "max_length"})
_COUNTED = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens", "bytes_in", "bytes_out")
_TEXTS = ("thread_id", "trace_id", "root_span_id", "root_status", "agent_name", "agent_version", "agent_model")
_OBJECTS = ("agent", "config", "metadata")
_INT64 = 2**63 - 1


def merged_event(old: Event, new: Event) -> Event:
    """The old event with every field that the new one gives."""
    changes = {name: value for name in EVENT_FIELDS if (value := getattr(new, name)) not in (None, "", 0.0)}
    if old.at and new.at:
        changes["at"] = min(old.at, new.at)
    merged = Event(**{name: getattr(old, name) for name in EVENT_FIELDS} | changes)
    if new.content_bytes == 0:
        merged.content_bytes = old.content_bytes
    return merged


def merged_content(old: bytes, new: bytes) -> bytes:
    """The content with each member of both; objects are merged by their members, anything else is the new one's."""
    before, after = orjson.loads(old), orjson.loads(new)
    for name, value in after.items():
        known = before.get(name)
        before[name] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
    return orjson.dumps(before)


def count(session: Session, event: Event, sign: int) -> None:
    """Add the event to the session's totals, or take it back with a sign of -1."""
    totals = session.totals
    totals.events += sign
    if event.status == ERROR:
        totals.errors += sign
    if event.type != SPAN:
        for name in _COUNTED:
            if value := getattr(event, name):
                setattr(totals, name, min(_INT64, getattr(totals, name) + sign * value))
    if event.finish_reason in _TRUNCATED:
        totals.truncated += sign
    _tally(session.types, event.type, sign)
    _tally(session.models, event.model, sign)
    _tally(session.tools, event.tool_name, sign)


def _tally(counts: dict[str, int], name: str, sign: int) -> None:
    if not name:
        return
    if name not in counts and len(counts) >= MAX_NAMES:
        name = OTHERS
    number = counts.get(name, 0) + sign
    if number > 0:
        counts[name] = number
    else:
        counts.pop(name, None)


def span_time(session: Session, event: Event) -> None:
    """Stretch the session's time over the event's."""
    if event.at:
        session.started_at = min(session.started_at or event.at, event.at)
        session.last_at = max(session.last_at, event.at + (event.duration_ms or 0.0) / 1000)


def apply(session: Session, patch: Patch, now: float) -> None:
    """Apply what the patch says of the session itself, not its events."""
    for name in _TEXTS:
        value, known = getattr(patch, name), getattr(session, name)
        if value and not (known and patch.weak):
            setattr(session, name, value)
    for name in _OBJECTS:
        if value := getattr(patch, name):
            known = getattr(session, name)
            setattr(session, name, {**value, **known} if patch.weak else {**known, **value})
    if patch.started_at:
        session.started_at = min(session.started_at or patch.started_at, patch.started_at)
    if patch.reopens:
        session.ended_at = session.said_duration_ms = None
    if patch.status:
        session.said_status = patch.status
    if patch.ended_at is not None:
        session.ended_at = max(session.ended_at or 0.0, patch.ended_at)
    elif patch.ends and session.ended_at is None and patch.duration_ms is None:
        session.ended_at = now
    if patch.duration_ms is not None:
        session.said_duration_ms = patch.duration_ms
    session.said = {
        **session.said,
        **{name: max(value, session.said.get(name, 0)) for name, value in patch.said.items()},
    }
    session.errors = _errors(session.errors, patch.errors)
    session.updated_at = now


def new_session(id: str, patch: Patch, now: float) -> Session:
    sender = patch.sender
    return Session(
        id=id,
        source=patch.source,
        user_id=sender.user_id,
        api_token_id=sender.api_token_id,
        actor_type=sender.actor_type,
        updated_at=now,
    )


def _errors(known: list[Any], more: list[Any]) -> list[Any]:
    errors = list(known)
    for error in more:
        if error not in errors and len(errors) < MAX_ERRORS:
            errors.append(error)
    return errors


def as_patch(session: Session) -> Patch:
    """The knowledge of a provisional session, for the one that it turns out to be a part of."""
    return Patch(
        source=session.source,
        weak=True,
        thread_id=session.thread_id,
        trace_id=session.trace_id,
        root_span_id=session.root_span_id,
        root_status=session.root_status,
        agent_name=session.agent_name,
        agent_version=session.agent_version,
        agent_model=session.agent_model,
        metadata=session.metadata,
    )
