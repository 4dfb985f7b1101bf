"""Replay of the corpus against a running Portico."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.compat import recording
from tests.compat.client import Answer, Client
from tests.compat.corpus import Request, filled, load
from tests.compat.normalise import Normaliser
from tests.compat.suite import Suite

PATIENCE_SECONDS = 10
"""Guard for `until`."""
_MISSING = "missing"


@dataclass
class Replayed:
    """Outcome of a replay."""

    blocks: dict[str, str] = field(default_factory=dict)
    """Formatted answers by request name."""
    problems: list[str] = field(default_factory=list)
    """Requests whose answer lacks what later requests depend on, one sentence each."""


def replay(suite: Suite) -> Replayed:
    """Make all requests. Raises OSError or http.client.HTTPException where no answer arrives."""
    with Client(suite.port) as client:
        run = _Replay(client, suite)
        for request in load():
            run.make(request)
        return run.replayed


class _Replay:
    def __init__(self, client: Client, suite: Suite) -> None:
        self.replayed = Replayed()
        self._client = client
        self._values = dict(suite.values)
        self._normaliser = Normaliser(time.time(), suite.known)

    def make(self, request: Request) -> None:
        """Make the request, repeatedly until its condition holds, and record the last answer."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        answer = self._send(request)
        while not _meets(answer, request.until):
            if time.monotonic() > give_up:
                self._complain(request, f"did not reach {dict(request.until)}")
                break
            time.sleep(0.05)
            answer = self._send(request)
        self.replayed.blocks[request.name] = recording.shown(request, answer, self._normaliser)
        for name, place in request.keep.items():
            value = _kept(answer, place)
            if value is None:
                self._complain(request, f"has no {place} to keep")
            self._values[name] = value or _MISSING

    def _complain(self, request: Request, what: str) -> None:
        self.replayed.problems.append(f"{request.name} {what}.")

    def _send(self, request: Request) -> Answer:
        body, kind = request.body(self._values)
        headers = {"x-request-id": request.id, "user-agent": "compat"}
        if kind is not None:
            headers["content-type"] = kind
        if request.token is not None:
            headers["authorization"] = f"Bearer {self._values[request.token]}"
        headers |= {name.lower(): filled(value, self._values) for name, value in request.headers.items()}
        sent = {name: value for name, value in headers.items() if value}
        return self._client.call(request.method, request.target(self._values), sent, body)


def _json(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except ValueError:
        return None


def _meets(answer: Answer, wanted: Mapping[str, Any]) -> bool:
    content = _json(answer)
    return all(_at(content, path) == value for path, value in wanted.items())


def _kept(answer: Answer, place: str) -> str | None:
    if place.startswith("header "):
        return dict(answer.headers).get(place.removeprefix("header "))
    value = _at(_json(answer), place)
    return None if value is None else str(value)


def _at(value: Any, path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    for step in path.split("."):
        if step == "#" and isinstance(value, list):
            value = len(value)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value
