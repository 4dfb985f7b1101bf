"""PromptService on a real server and store."""

from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody

from portico.inference.v1 import prompt_service_pb2 as pb
from tests.support.inference_harness import Caller, Harness, field_of, reason_of, refused

TEMPLATE = "Hello {{name}}{{#items}}, {{n}}{{/items}}"


class Prompting:
    """Calls of PromptService by one caller."""

    def __init__(self, harness: Harness, **claims: Any) -> None:
        self.caller: Caller = harness.caller(**claims)
        self._stub = harness.prompts

    def call(self, rpc: str, **fields: Any) -> Any:
        request_of = {"RenderPromptOverRest": pb.RenderPromptOverRestRequest}
        request = request_of.get(rpc) or getattr(pb, f"{rpc}Request")
        return getattr(self._stub, rpc)(request(**fields), metadata=self.caller.metadata)

    async def create(self, **fields: Any) -> pb.Prompt:
        made: pb.Prompt = (
            await self.call("CreatePrompt", **{"key": "hello", "name": "Hello", "template": TEMPLATE, **fields})
        ).prompt
        return made

    async def rest(self, body: bytes, **fields: Any) -> str:
        request = {"key": "hello", "body": HttpBody(content_type="application/json", data=body), **fields}
        return str((await self.call("RenderPromptOverRest", **request)).rendered)


@pytest.fixture
async def mine(harness: Harness) -> Prompting:
    return Prompting(harness)


async def test_a_prompt_of_many_versions(mine: Prompting) -> None:
    created = await mine.create(version_comment="first")
    assert (created.key, created.current_version, created.template) == ("hello", 1, TEMPLATE)
    assert created.created_by
    for number in range(2, 5):
        await mine.call("UpdatePrompt", key="hello", template=f"v{number}")
    got = await mine.call("GetPrompt", key="hello")
    assert (got.prompt.current_version, got.resolved_version.version, got.prompt.template) == (4, 4, "v4")
    assert got.resolved_version.is_latest
    listed = await mine.call("ListPromptVersions", key="hello", page_size=3)
    assert [each.version for each in listed.versions] == [4, 3, 2]
    rest = await mine.call("ListPromptVersions", key="hello", page_size=3, page_token=listed.next_page_token)
    assert [(each.version, each.comment) for each in rest.versions] == [(1, "first")]
    assert rest.next_page_token == ""
    back = await mine.call("SetCurrentPromptVersion", key="hello", version_id=rest.versions[0].id)
    assert (back.prompt.current_version, back.prompt.template) == (1, TEMPLATE)
    (found,) = (await mine.call("ListPrompts", search="HELLO")).prompts
    assert found == back.prompt
    assert not (await mine.call("ListPrompts", search="nothing")).prompts
    assert (await mine.call("DeletePrompt", key="hello")).success
    assert (await refused(mine.call("GetPrompt", key="hello"))).code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"data": {"name": "Ada", "items": [{"n": 1}, {"n": "<2>"}]}}', "Hello Ada, 1, <2>"),
        (b'{"name": "Ada"}', "Hello Ada"),
        (b'{"data": {"name": 12345678901234567}}', "Hello 12345678901234567"),
        (b'{"data": null}', "Hello "),
        (b'{"data": {}}', "Hello "),
        (b"{}", "Hello "),
        (b"", "Hello "),
        (b'{"data": {"name": {"a": ["x", 1.5]}}}', 'Hello {"a":["x",1.5]}'),
    ],
)
async def test_bodies_of_a_rendering(mine: Prompting, body: bytes, text: str) -> None:
    await mine.create()
    assert await mine.rest(body) == text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"data": "x"}', "data"),
        (b'{"data": [1]}', "data"),
        (b'{"data": {}, "version": 3}', "data"),
        (b"[]", "body"),
        (b"{", "body"),
        (b"\xff", "body"),
        (b'{"name": "%s"}' % (b"x" * (900 * 1024)), None),
        (b'{"items": [%s]}' % b",".join([b"{}"] * 60_000), "data"),
    ],
)
async def test_a_bad_rendering_names_its_field(mine: Prompting, body: bytes, field: str | None) -> None:
    await mine.create()
    if field is None:
        assert len(await mine.rest(body)) > 900 * 1024
        return
    error = await refused(mine.rest(body))
    assert (error.code(), field_of(error)) == (grpc.StatusCode.INVALID_ARGUMENT, field)


async def test_a_rendering_over_grpc(mine: Prompting) -> None:
    await mine.create()
    request = pb.RenderPromptRequest(key="hello", version=1)
    request.data.update({"name": "Ada", "items": [{"n": 1}]})
    answer = await mine.call("RenderPrompt", key="hello", version=1, data=request.data)
    assert (answer.rendered, answer.prompt.version) == ("Hello Ada, 1", 1)
    request.data.update({"name": 2.0**60})
    error = await refused(mine.call("RenderPrompt", key="hello", data=request.data))
    assert (error.code(), field_of(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "data")


@pytest.mark.parametrize(
    ("rpc", "fields", "code", "field"),
    [
        ("CreatePrompt", {"key": "hello", "name": "H", "template": "t"}, "ALREADY_EXISTS", "key"),
        ("CreatePrompt", {"name": "H", "template": "{{#a}}"}, "INVALID_ARGUMENT", "template"),
        ("CreatePrompt", {"name": "", "template": "t"}, "INVALID_ARGUMENT", "name"),
        ("CreatePrompt", {"name": "H"}, "INVALID_ARGUMENT", "template"),
        ("UpdatePrompt", {"key": "hello", "template": ""}, "INVALID_ARGUMENT", "template"),
        ("UpdatePrompt", {"key": "none", "template": "t"}, "NOT_FOUND", "key"),
        ("GetPrompt", {"key": "none"}, "NOT_FOUND", "key"),
        ("GetPrompt", {"key": "\n"}, "NOT_FOUND", "key"),
        ("GetPrompt", {"key": "hello", "version": 0}, "INVALID_ARGUMENT", "version"),
        ("GetPrompt", {"key": "hello", "version": -1}, "INVALID_ARGUMENT", "version"),
        ("GetPrompt", {"key": "hello", "version": 2}, "NOT_FOUND", "version"),
        ("GetPrompt", {"key": "hello", "environment": "moon"}, "INVALID_ARGUMENT", "environment"),
        ("GetPrompt", {"key": "hello", "environment": "prod"}, "NOT_FOUND", "environment"),
        ("RenderPrompt", {"key": "hello", "version": 2}, "NOT_FOUND", "version"),
        ("RenderPromptOverRest", {"key": "hello", "environment": "dev"}, "NOT_FOUND", "environment"),
        ("ListPrompts", {"page_size": 1001}, "INVALID_ARGUMENT", "pageSize"),
        ("ListPrompts", {"page_token": "x"}, "INVALID_ARGUMENT", "pageToken"),
        ("ListPrompts", {"search": "x" * 201}, "INVALID_ARGUMENT", "search"),
        ("ListPromptVersions", {"key": "hello", "page_token": "x"}, "INVALID_ARGUMENT", "pageToken"),
        ("ListPromptVersions", {"key": "hello", "page_token": "9" * 30}, "INVALID_ARGUMENT", "pageToken"),
        ("SetCurrentPromptVersion", {"key": "hello", "version_id": ""}, "INVALID_ARGUMENT", "versionId"),
        ("ComparePromptVersions", {"key": "hello", "from_version_id": "x"}, "NOT_FOUND", "fromVersionId"),
        ("DeployPrompt", {"key": "hello", "action": "push"}, "INVALID_ARGUMENT", "action"),
        ("DeployPrompt", {"key": "hello", "action": "plan", "environment": "x"}, "INVALID_ARGUMENT", "environment"),
        ("DeployPrompt", {"key": "hello", "action": "plan", "environment": "dev"}, "INVALID_ARGUMENT", "versionId"),
        ("DeployPrompt", {"key": "hello", "action": "activate", "environment": "dev"}, "FAILED_PRECONDITION", "action"),
        ("DeployPrompt", {"key": "hello", "action": "rollback", "environment": "dev"}, "FAILED_PRECONDITION", "action"),
        ("CreatePromptComment", {"key": "hello", "content": " "}, "INVALID_ARGUMENT", "content"),
        ("CreatePromptComment", {"key": "hello", "content": "c", "version_id": "x"}, "NOT_FOUND", "versionId"),
        ("DeletePromptComment", {"key": "hello", "comment_id": "x"}, "NOT_FOUND", "commentId"),
        ("DeletePrompt", {"key": "none"}, "NOT_FOUND", "key"),
    ],
)
async def test_a_refusal_names_its_field(
    mine: Prompting, rpc: str, fields: dict[str, Any], code: str, field: str
) -> None:
    created = await mine.create()
    error = await refused(mine.call(rpc, **fields))
    assert (error.code().name, field_of(error)) == (code, field)
    assert (await mine.call("GetPrompt", key="hello")).prompt == created


@pytest.mark.parametrize("claims", [{"tenant": "globex"}, {"project": "p2"}], ids=["tenant", "project"])
async def test_others_with_the_same_key_have_prompts_of_their_own(
    harness: Harness, mine: Prompting, claims: dict[str, str]
) -> None:
    theirs = Prompting(harness, **claims)
    created = await mine.create()
    comment = (await mine.call("CreatePromptComment", key="hello", content="mine")).comment
    await theirs.create(template="theirs {{name}}")
    for rpc, fields in [
        ("GetPrompt", {"key": created.id}),
        ("UpdatePrompt", {"key": created.id, "template": "x"}),
        ("DeletePrompt", {"key": created.id}),
        ("RenderPrompt", {"key": created.id}),
        ("SetCurrentPromptVersion", {"key": "hello", "version_id": created.latest_version_id}),
        (
            "DeployPrompt",
            {"key": "hello", "action": "promote", "environment": "prod", "version_id": created.latest_version_id},
        ),
        (
            "ComparePromptVersions",
            {"key": "hello", "from_version_id": created.latest_version_id, "to_version_id": created.latest_version_id},
        ),
        ("CreatePromptComment", {"key": "hello", "content": "x", "version_id": created.latest_version_id}),
        ("DeletePromptComment", {"key": "hello", "comment_id": comment.id}),
    ]:
        error = await refused(theirs.call(rpc, **fields))
        assert error.code() is grpc.StatusCode.NOT_FOUND, rpc
    await theirs.call("UpdatePrompt", key="hello", template="changed")
    await theirs.call("DeletePrompt", key="hello")
    assert (await mine.call("GetPrompt", key="hello")).prompt == created
    assert [each.content for each in (await mine.call("ListPromptComments", key="hello")).comments] == ["mine"]


async def test_a_comparison_tells_what_was_said_and_done(mine: Prompting) -> None:
    first = await mine.create(template="a\nb")
    second = (await mine.call("UpdatePrompt", key="hello", template="a\nc")).prompt
    await mine.call("CreatePromptComment", key="hello", content="why c?")
    deployed = {"key": "hello", "action": "promote", "environment": "dev", "version_id": first.latest_version_id}
    await mine.call("DeployPrompt", **deployed)
    answer = await mine.call(
        "ComparePromptVersions",
        key="hello",
        from_version_id=first.latest_version_id,
        to_version_id=second.latest_version_id,
    )
    comparison = answer.comparison
    assert [(each.type, each.line) for each in comparison.template_diff] == [
        ("unchanged", "a"),
        ("removed", "b"),
        ("added", "c"),
    ]
    assert [(each.content, each.version) for each in comparison.comments] == [("why c?", 2)]
    assert [each.action for each in comparison.deployment_history] == ["promote"]


@pytest.mark.parametrize(
    ("scopes", "rpc", "fields"),
    [
        (["inference:write"], "GetPrompt", {"key": "hello"}),
        (["prompts:read"], "UpdatePrompt", {"key": "hello", "template": "x"}),
    ],
)
async def test_scopes(harness: Harness, mine: Prompting, scopes: list[str], rpc: str, fields: dict[str, Any]) -> None:
    await mine.create()
    error = await refused(Prompting(harness, scopes=scopes).call(rpc, **fields))
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.PERMISSION_DENIED, "MISSING_SCOPE")
    assert (await Prompting(harness, scopes=["prompts:read"]).call("GetPrompt", key="hello")).prompt.key == "hello"
