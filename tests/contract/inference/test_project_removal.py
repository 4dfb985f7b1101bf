"""A deleted project leaves no models, prompts and sealed keys; what it has used stays."""

from pathlib import Path

import grpc
import pytest

from core.storage.closed_projects import close_project
from core.tenancy import Project, Tenant
from portico.inference.v1 import prompt_service_pb2 as prompts_pb
from services.inference.domain.prompts import tables as prompt_tables
from services.inference.domain.tables import MODELS, PROVIDERS, USAGE
from tests.support.fake_provider import FakeProvider
from tests.support.inference_harness import Caller, Harness, reason_of, refused
from tests.support.platforms import memory_platform
from tests.support.removal import MARKER, delete_project, files_with, hurry, records_of, removed


async def used(harness: Harness, provider: FakeProvider, project: str) -> Caller:
    """Of a project with a provider, a model, a usage record, and a prompt with an earlier version and a comment."""
    caller = harness.caller(project=project)
    await caller.provider(provider.url, credentials={"apiKey": MARKER}, description=MARKER)
    await caller.model(description=MARKER)
    await caller.chat()
    await caller.records(1)
    new = prompts_pb.CreatePromptRequest(key="p", name="P", template=MARKER)
    await harness.prompts.CreatePrompt(new, metadata=caller.metadata)
    change = prompts_pb.UpdatePromptRequest(key="p", template="other")
    await harness.prompts.UpdatePrompt(change, metadata=caller.metadata)
    comment = prompts_pb.CreatePromptCommentRequest(key="p", content=MARKER)
    await harness.prompts.CreatePromptComment(comment, metadata=caller.metadata)
    return caller


async def test_models_and_sealed_keys_go_and_usage_stays(
    harness: Harness, provider: FakeProvider, tmp_path: Path
) -> None:
    """All of them stayed."""
    hurry(harness.running)
    for project in ("p1", "p2"):
        await used(harness, provider, project)
    await delete_project(harness.running)
    await removed(harness.running)
    assert await records_of(harness.running, "acme", "p1", PROVIDERS, MODELS, *prompt_tables.COLLECTIONS) == 0
    assert await records_of(harness.running, "acme", "p1", USAGE) == 1
    assert await records_of(harness.running, "acme", "p2", PROVIDERS, MODELS, USAGE, *prompt_tables.COLLECTIONS) == 6
    await delete_project(harness.running, project="p2")
    await removed(harness.running, project="p2")
    assert files_with(harness.folder) == []


async def test_nothing_begins_in_a_deleted_project(harness: Harness, provider: FakeProvider) -> None:
    """A call that is under way made a provider, whose sealed keys stayed."""
    await close_project(harness.running.platform.store, Project(Tenant("acme"), "p1"))
    error = await refused(harness.caller().provider(provider.url))
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.NOT_FOUND, "PROJECT_DELETED")
    assert await records_of(harness.running, "acme", "p1", PROVIDERS) == 0


async def test_a_service_must_say_how_it_removes_a_project() -> None:
    with pytest.raises(RuntimeError, match="inference does not say"):
        memory_platform("inference").follow_auth()
