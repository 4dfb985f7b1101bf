"""Replacement of values that differ between runs (ids, tokens, times, durations, addresses) by stable names."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tests.compat.json_text import Path, rewrite

UNORDERED = {
    "servicePermissions",
    "metadata",
    "settings",
    "group",
    "deployments",
    "policy",
    "categories",
    "category_scores",
    "findingsByCategory",
    "eventCounts",
    "agent",
    "config",
    "sections",
}
"""Members that are protobuf maps or Structs, whose order is not defined."""
MILLISECONDS = {"latencyMs", "meanLatencyMs", "firstByteMs", "latency_ms"}
SCORES = {"score", "similarity"}
"""Numbers that are right to six digits: what an index computes depends on the order of its additions."""
OPAQUE = {
    "x": "x",
    "y": "y",
    "kid": "kid",
    "tokenPrefix": "prefix",
    "nextPageToken": "page",
    "nextCursor": "page",
    "sealed": "vault",
}
"""Members whose whole value is random, with the name for it: key coordinates, token suffixes, page tokens."""
ERROR_TEXTS = {"markdownError"}
"""Error texts outside of an `error` object; only their presence is compared."""

_TOKEN = re.compile(r"ptc_[\w-]+\.[\w-]+\.[\w-]+")
_INVITATION = re.compile(r"\b(?:acme|globex)\.[\w-]{22,}")
_ID = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{24,40}(?![0-9A-Za-z])")
_OBJECT_KEY = re.compile(r"(?<=-)1\d{12}-[0-9a-f]{8}\b")
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_TIME = re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} 20\d\d \d\d:\d\d:\d\d GMT")
_DAY = re.compile(r"\b20\d\d-\d\d-\d\d\b")
_SECONDS = re.compile(r"1[789]\d{8}|2[01]\d{8}")
_HOURS = 3600
_LONG_WAIT = 20
"""Seconds above which a `retry-after` is taken for a countdown rather than a constant."""
_FAR = 400 * 24 * _HOURS
"""Seconds from now beyond which a time comes from the corpus and is kept."""


class Normaliser:
    """Normaliser of one run: equal values get equal names in all answers."""

    def __init__(self, now: float, known: Mapping[str, str]) -> None:
        """`now`: beginning of the run in Unix seconds; `known`: texts of the run (addresses) and their names."""
        self._now = now
        self._known = known
        self._names: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def text(self, text: str) -> str:
        """Normalise a text that is not JSON, or a single JSON value."""
        for value, name in self._known.items():
            text = text.replace(value, name)
        text = _TOKEN.sub(lambda found: self._name("token", found[0]), text)
        text = _INVITATION.sub(lambda found: self._name("invitation", found[0]), text)
        text = _OBJECT_KEY.sub(lambda found: self._name("key", found[0]), text)
        text = _UUID.sub(lambda found: self._name("uuid", found[0]), text)
        text = _ID.sub(lambda found: self._name("id", found[0]), text)
        text = _TIME.sub(lambda found: self._time(datetime.fromisoformat(found[0]), found[0]), text)
        text = _HTTP_DATE.sub(lambda found: self._time(parsedate_to_datetime(found[0]), found[0]), text)
        return _DAY.sub(self._day, text)

    def header(self, name: str, value: str) -> str:
        """Normalise a header's value."""
        if name == "retry-after" and value.isdigit() and int(value) > _LONG_WAIT:
            return "<seconds>"
        return self.body(value) if value.startswith("{") else self.text(value)

    def body(self, text: str) -> str:
        """Normalise a body: JSON, server-sent events with JSON data, metrics, or other text."""
        if text.startswith("# HELP"):  # samples for Prometheus: their values are those of the moment
            return "\n".join(line for line in text.split("\n") if line.startswith("#"))
        if text.startswith(("data:", ":")):
            return "\n".join(self._event_line(line) for line in text.split("\n"))
        return self._json(text)

    def _event_line(self, line: str) -> str:
        start, _, data = line.partition("data: ")
        return f"{start}data: {self._json(data)}" if data else line

    def _json(self, text: str) -> str:
        try:
            return rewrite(text, self._scalar, UNORDERED)
        except ValueError:
            return self.text(text)

    def _scalar(self, path: Path, written: str) -> str:
        key, parent = (*path[::-1], "", "")[:2]
        if written[0] != '"':
            if key in MILLISECONDS and float(written) > 0:
                return "<ms>"
            if key in SCORES:
                return f"{float(written):.6g}"
            if _SECONDS.fullmatch(written):
                return self._time(datetime.fromtimestamp(int(written), UTC), written)
            return written
        if written == '""':
            return written
        if key in ERROR_TEXTS or (key, parent) == ("message", "error") or (key, parent) == ("error", "job"):
            return '"<text>"'
        return f'"{self._name(OPAQUE[key], written)}"' if key in OPAQUE else self.text(written)

    def _name(self, kind: str, value: str) -> str:
        if value not in self._names:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._names[value] = f"<{kind}:{self._counts[kind]}>"
        return self._names[value]

    def _time(self, time: datetime, written: str) -> str:
        """Offset from the beginning of the run in hours, so that a changed token lifetime is seen."""
        offset = time.timestamp() - self._now
        if abs(offset) > _FAR:
            return written
        hours = round(offset / _HOURS)
        return f"<now{hours:+d}h>" if hours else "<now>"

    def _day(self, found: re.Match[str]) -> str:
        """Normalise the current date, also when the run crosses midnight."""
        offset = datetime.fromisoformat(f"{found[0]}T12:00Z").timestamp() - self._now
        return "<today>" if abs(offset) < 36 * _HOURS else found[0]
