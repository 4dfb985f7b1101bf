"""Coverage and consistency of the compatibility corpus."""

import re
from collections import defaultdict

from tests.compat import recording
from tests.compat.corpus import Request, load, templates
from tests.support.contracts import Binding, bindings

LEAST = 300
WITHOUT_REFUSAL = {"/v1/auth/jwks", "/.well-known/jwks.json"}
"""Routes that have no refusal."""
WITHOUT_SUCCESS = {
    "/v1/vector/migrations/{id}/cancel",
    "/v1/rag/modules/{module_key}/reindex/{id}/cancel",
    "/v1/auth/reset-password",
}
"""Routes whose success depends on the timing of a job, or on a mail."""
GIVEN = {"provider", "edge"}
"""Values that the suite provides."""
_VARIABLE = re.compile(r"\\\{\w+(=\\\*\\\*)?\\\}")


def _pattern(binding: Binding) -> re.Pattern[str]:
    escaped = re.escape(binding.template)
    return re.compile(_VARIABLE.sub(lambda found: ".+" if found[1] else "[^/]+", escaped))


def _is_for(request: Request, binding: Binding) -> bool:
    path = request.path.partition("?")[0]
    return request.method == binding.verb and _pattern(binding).fullmatch(path) is not None


def _statuses() -> dict[str, list[int]]:
    """Recorded statuses by route. Of several templates that match, the most literal one wins, as at the edge."""
    routes = sorted(bindings(), key=lambda each: (len(each.variables), "**" in each.template))
    recorded = recording.statuses(recording.read())
    found = defaultdict(list)
    for request in load():
        for binding in routes:
            if _is_for(request, binding):
                found[f"{binding.verb} {binding.template}"].append(recorded[request.name])
                break
    return found


def test_there_are_hundreds_of_requests() -> None:
    assert len(load()) >= LEAST


def test_every_route_has_a_success_and_a_refusal() -> None:
    """Walks the HTTP annotations of the protos, so that a new route without requests fails."""
    found = _statuses()
    missing = []
    for binding in bindings():
        name = f"{binding.verb} {binding.template}"
        if binding.template not in WITHOUT_SUCCESS and not any(status < 300 for status in found[name]):
            missing.append(f"{name} has no success")
        if binding.template not in WITHOUT_REFUSAL and not any(400 <= status < 500 for status in found[name]):
            missing.append(f"{name} has no refusal")
    assert not missing


def test_no_answer_is_an_internal_error() -> None:
    """A recorded 500 would preserve a bug."""
    assert {name for name, status in recording.statuses(recording.read()).items() if status == 500} == set()


def test_there_is_one_recorded_answer_for_each_request() -> None:
    assert sorted(recording.read()) == sorted(request.name for request in load())


def test_every_template_refers_to_an_earlier_answer() -> None:
    known = set(GIVEN)
    for request in load():
        assert set(templates(request)) <= known, request.name
        known |= set(request.keep)
