"""The check of isolation itself: what it takes for a leak, and what it tries."""

from collections import Counter
from typing import Any

import pytest

from tools.isolation_check import contracts
from tools.isolation_check.__main__ import main
from tools.isolation_check.attempts import FAILED, LEAKED, OWN, REACHED, REFUSED, Attempt, Attempts, sample
from tools.isolation_check.tenants import Tenant, filled

CALLER = Tenant("token-a", "kaaa", "secret-of-a", {"/v1/prompts": [("prompt-a",)]})
VICTIM = Tenant(
    "token-b",
    "kbbb",
    "secret-of-b",
    {"/v1/prompts": [("prompt-b",)], "/v1/prompts/{key}/comments": [("prompt-b", "comment-b")]},
)


def attempts() -> Attempts:
    nothing: Any = None
    return Attempts(nothing, nothing, (CALLER, VICTIM))


@pytest.mark.parametrize(
    ("answer", "refuses", "result"),
    [
        ((True, False, "mine"), False, OWN),
        ((False, False, "404 no such prompt"), True, REFUSED),
        ((False, True, "500"), True, FAILED),
        ((True, False, "deleted"), True, REACHED),
        ((True, False, "here is secret-of-b"), False, LEAKED),
        ((False, True, "500 secret-of-b"), True, LEAKED),
    ],
)
async def test_what_an_answer_means(answer: tuple[bool, bool, str], refuses: bool, result: str) -> None:
    async def call(attempt: Attempt) -> tuple[bool, bool, str]:
        return answer

    made = attempts()
    await made._make(Attempt("GET /v1/prompts", CALLER, VICTIM, call, refuses=refuses))
    assert made.findings.matrix["GET /v1/prompts"] == Counter({result: 1})


def test_a_path_is_tried_with_the_others_own_names() -> None:
    assert VICTIM.addresses("/v1/prompts/{key}/comments/{comment_id}") == [("prompt-b", "comment-b")]
    assert VICTIM.addresses("/v1/prompts/{key}/versions/{id}") == [("prompt-b", "kbbb")]
    assert filled("/v1/prompts/{key}/comments/{comment_id}", ("a b", "c/d")) == "/v1/prompts/a%20b/comments/c%2Fd"


def test_every_route_and_rpc_is_tried_in_both_directions() -> None:
    made = attempts()
    guarded, further = made.guarded(), made.further()
    names = {route.name for route in contracts.routes()} | {contracts.path_of(each) for each in contracts.methods()}
    assert {each.name for each in (*guarded, *further)} == names
    assert {(each.caller.mark, each.victim.mark) for each in guarded} == {("kaaa", "kbbb"), ("kbbb", "kaaa")}
    assert all("{" in each.name for each in guarded)


def test_a_sample_has_every_route() -> None:
    guarded = attempts().guarded()
    names = {each.name for each in guarded}
    assert {each.name for each in sample(guarded, len(names))} == names


def test_one_token_alone_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--token-a", "x"])
    assert "both tenants" in capsys.readouterr().err
