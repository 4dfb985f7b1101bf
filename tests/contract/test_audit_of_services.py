"""Every RPC that changes something leaves exactly one entry, for success and for refusal, through the real servers.

The walks are checked against the contracts: an RPC that is added and not walked fails here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from google.api.httpbody_pb2 import HttpBody

from core import context
from core.errors import SERVICE_AWAY, Unavailable
from services.rag.app import serve as serve_rag
from services.rag.settings import Settings as RagSettings
from services.tracing.app import serve as serve_tracing
from services.tracing.settings import Settings as TracingSettings
from services.vector.app import serve as serve_vector
from services.vector.settings import Settings as VectorSettings
from tests.support import serving
from tests.support.audit_walk import (
    PLANTED,
    Step,
    Walk,
    check_clean,
    check_complete,
    walk_is_denied,
    walk_succeeds,
)
from tests.support.inference_harness import inference
from tests.support.knowledge import FakeTokens, Neighbours
from tests.support.rag_client import FORM, form
from tests.support.serving import connect
from tests.support.tokens import Signer
from tests.support.vector_client import point, struct

INFERENCE, RAG, VECTOR = "portico.inference.v1", "portico.rag.v1", "portico.vector.v1"
TRACING = "portico.tracing.v1"

INFERENCE_STEPS = [
    Step(
        "ProviderService/CreateProvider",
        {"key": "p", "driver": "openai", "label": PLANTED, "credentials": {"apiKey": PLANTED}},
        "p",
    ),
    Step("ProviderService/UpdateProvider", {"id": "p", "credentials": {"apiKey": PLANTED + "2"}}, "p"),
    Step(
        "ModelService/CreateModel",
        {"key": "m", "name": PLANTED, "category": "llm", "provider_key": "p", "model_id": "x"},
        "m",
        keep=lambda answer: {"model": answer.model.id},
    ),
    Step("ModelService/UpdateModel", {"id": "m", "description": PLANTED}, "m"),
    Step(
        "ModelService/CreateDynamicModel",
        {
            "key": "router",
            "name": PLANTED,
            "settings": {"dynamic": {"strategy": "rule-based", "default_model_key": "m"}},
        },
        "router",
    ),
    Step("RerankerService/CreateReranker", {"key": "r", "name": PLANTED, "strategy": "heuristic"}, "r"),
    Step("RerankerService/UpdateReranker", {"key": "r", "description": PLANTED}, "r"),
    Step("RerankerService/DeleteReranker", {"key": "r"}, "r"),
    # By its record id: the entry names it as the others do.
    Step(
        "ModelService/DeleteModel",
        lambda known: {"id": known.get("model", "m")},
        "m",
    ),
    Step("ProviderService/DeleteProvider", {"id": "p"}, "p"),
    Step("GuardrailService/CreateWordList", {"key": "w", "name": PLANTED, "words": [PLANTED]}, "w"),
    Step("GuardrailService/UpdateWordList", {"key": "w", "description": PLANTED}, "w"),
    Step("GuardrailService/UploadWordList", {"key": "w", "body": HttpBody(data=PLANTED.encode())}, "w"),
    Step("GuardrailService/CreateGuardrail", {"key": "g", "name": PLANTED, "type": "preset"}, "g"),
    Step("GuardrailService/UpdateGuardrail", {"key": "g", "description": PLANTED}, "g"),
    Step("GuardrailService/DeleteGuardrail", {"key": "g"}, "g"),
    Step("GuardrailService/DeleteWordList", {"key": "w"}, "w"),
    Step("PiiService/CreatePiiPolicy", {"key": "pii", "name": PLANTED}, "pii"),
    Step("PiiService/UpdatePiiPolicy", {"key": "pii", "description": PLANTED}, "pii"),
    Step("PiiService/DeletePiiPolicy", {"key": "pii"}, "pii"),
    Step(
        "PromptService/CreatePrompt",
        {"key": "hello", "name": PLANTED, "template": PLANTED, "description": PLANTED},
        "hello",
        keep=lambda answer: {"version": answer.prompt.latest_version_id, "prompt": answer.prompt.id},
    ),
    Step("PromptService/UpdatePrompt", {"key": "hello", "template": PLANTED + "2"}, "hello"),
    Step(
        "PromptService/SetCurrentPromptVersion",
        lambda known: {"key": "hello", "version_id": known.get("version", "v")},
        "hello",
    ),
    Step(
        "PromptService/DeployPrompt",
        lambda known: {
            "key": "hello",
            "action": "promote",
            "environment": "prod",
            "version_id": known.get("version", "v"),
            "note": PLANTED,
        },
        "hello",
    ),
    Step(
        "PromptService/CreatePromptComment",
        {"key": "hello", "content": PLANTED},
        lambda known: str(known.get("comment")),
        denied_resource="hello",
        keep=lambda answer: {"comment": answer.comment.id},
    ),
    Step(
        "PromptService/DeletePromptComment",
        lambda known: {"key": "hello", "comment_id": known.get("comment", "c")},
        lambda known: str(known.get("comment")),
        denied_resource="c",
    ),
    # By its record id: the entry names it as the others do.
    Step(
        "PromptService/DeletePrompt",
        lambda known: {"key": known.get("prompt", "hello")},
        "hello",
    ),
]


def json_body(**content: Any) -> HttpBody:
    return HttpBody(content_type="application/json", data=orjson.dumps(content))


def form_body(**fields: str) -> HttpBody:
    return HttpBody(content_type=FORM, data=form(PLANTED.encode(), "a.txt", **fields))


def openai_id(answer: HttpBody) -> dict[str, Any]:
    return {"file": orjson.loads(answer.data)["id"]}


def document_id(answer: HttpBody) -> dict[str, Any]:
    return {"document": orjson.loads(answer.data)["document"]["id"]}


def kept_id(name: str) -> Callable[[HttpBody], dict[str, Any]]:
    return lambda answer: {name: orjson.loads(answer.data)["id"]}


def in_store(**more: Any) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """A request about the vector store that was made; `more` may name what was kept of others."""
    return lambda known: {
        "vector_store_id": known.get("store", "vs"),
        **{name: each(known) if callable(each) else each for name, each in more.items()},
    }


VECTOR_STORE_STEPS = [
    Step(
        "VectorStoreService/CreateVectorStore",
        {"body": json_body(name=PLANTED, embedding_model="embed", metadata={"note": PLANTED})},
        lambda known: str(known.get("store")),
        denied_resource="",
        keep=kept_id("store"),
    ),
    Step(
        "VectorStoreService/UpdateVectorStore",
        in_store(body=json_body(name=PLANTED)),
        lambda known: str(known.get("store")),
        denied_resource="vs",
    ),
    Step(
        "VectorStoreService/CreateVectorStoreFile",
        in_store(body=lambda known: json_body(file_id=known.get("file"), attributes={"note": PLANTED})),
        lambda known: f"{known.get('store')}/{known.get('file')}",
        denied_resource="vs",
    ),
    Step(
        "VectorStoreService/UpdateVectorStoreFile",
        in_store(file_id=lambda known: known.get("file", "f"), body=json_body(attributes={"note": PLANTED + "2"})),
        lambda known: f"{known.get('store')}/{known.get('file')}",
        denied_resource="vs/f",
    ),
    Step(
        "VectorStoreService/CreateFileBatch",
        in_store(body=lambda known: json_body(file_ids=[known.get("file")])),
        lambda known: f"{known.get('store')}/{known.get('batch')}",
        denied_resource="vs",
        keep=kept_id("batch"),
    ),
    Step(
        "VectorStoreService/CancelFileBatch",
        in_store(batch_id=lambda known: known.get("batch", "b")),
        lambda known: f"{known.get('store')}/{known.get('batch')}",
        denied_resource="vs/b",
    ),
    Step(
        "VectorStoreService/DeleteVectorStoreFile",
        in_store(file_id=lambda known: known.get("file", "f")),
        lambda known: f"{known.get('store')}/{known.get('file')}",
        denied_resource="vs/f",
    ),
    Step(
        "VectorStoreService/DeleteVectorStore",
        in_store(),
        lambda known: str(known.get("store")),
        denied_resource="vs",
    ),
]

RAG_STEPS = [
    Step(
        "FileProviderService/CreateFileProvider",
        {"key": "disk", "driver": "local", "label": PLANTED, "metadata": struct(note=PLANTED)},
        "disk",
    ),
    Step("FileProviderService/UpdateFileProvider", {"provider_key": "disk", "label": PLANTED}, "disk"),
    Step(
        "BucketService/CreateBucket",
        {"key": "b", "name": PLANTED, "provider_key": "disk", "metadata": struct(note=PLANTED)},
        "b",
    ),
    # What a stream names is not known before it is read.
    Step(
        "FileService/UploadFile",
        {"bucket_key": "b", "body": form_body(keyHint="a.txt", metadata=f'{{"note": "{PLANTED}"}}')},
        "b/a.txt",
        denied_resource="",
    ),
    Step("FileService/ConvertFile", {"bucket_key": "b", "object_key": "a.txt"}, "b/a.txt"),
    Step("FileRestService/ConvertObject", {"bucket_key": "b", "object_key": "a.txt"}, "b/a.txt"),
    Step("FileService/DeleteFile", {"bucket_key": "b", "object_key": "a.txt"}, "b/a.txt"),
    Step(
        "OpenAIFileService/CreateOpenAIFile",
        {"body": form_body(purpose="assistants")},
        lambda known: f"openai/{known.get('file')}",
        denied_resource="",
        keep=openai_id,
    ),
    *VECTOR_STORE_STEPS,
    Step(
        "OpenAIFileService/DeleteOpenAIFile",
        lambda known: {"file_id": known.get("file", "file-1")},
        lambda known: f"openai/{known.get('file')}",
        denied_resource="file-1",
    ),
    Step(
        "MemoryService/CreateMemoryStore",
        {"key": "notes", "name": PLANTED, "vector_provider_key": "default", "embedding_model_key": "words"},
        "notes",
    ),
    Step("MemoryService/UpdateMemoryStore", {"store_key": "notes", "description": PLANTED}, "notes"),
    Step(
        "MemoryService/AddMemory",
        {"store_key": "notes", "content": PLANTED},
        "notes",
        keep=lambda answer: {"memory": answer.memory.id},
    ),
    Step("MemoryService/AddMemories", {"store_key": "notes", "memories": [{"content": PLANTED + "2"}]}, "notes"),
    Step(
        "MemoryService/AddConversation",
        {"store_key": "notes", "messages": [{"role": "user", "content": PLANTED}]},
        "notes",
    ),
    Step(
        "MemoryService/UpdateMemory",
        lambda known: {"store_key": "notes", "memory_id": known.get("memory", "m"), "content": PLANTED + "3"},
        lambda known: f"notes/{known.get('memory')}",
        denied_resource="notes/m",
    ),
    Step(
        "MemoryService/DeleteMemory",
        lambda known: {"store_key": "notes", "memory_id": known.get("memory", "m")},
        lambda known: f"notes/{known.get('memory')}",
        denied_resource="notes/m",
    ),
    Step("MemoryService/DeleteMemories", {"store_key": "notes", "all": True}, "notes"),
    Step("MemoryService/DeleteMemoryStore", {"store_key": "notes"}, "notes"),
    Step("BucketService/DeleteBucket", {"bucket_key": "b"}, "b"),
    Step("FileProviderService/DeleteFileProvider", {"provider_key": "disk"}, "disk"),
    Step("KnowledgeService/CreateModule", {"key": "kb", "name": PLANTED, "embedding_model_key": "embed"}, "kb"),
    Step("KnowledgeService/UpdateModule", {"key": "kb", "description": PLANTED}, "kb"),
    Step(
        "KnowledgeService/IngestDocument",
        {"module_key": "kb", "body": json_body(fileName="a.txt", content=PLANTED, metadata={"note": PLANTED})},
        lambda known: f"kb/{known.get('document')}",
        denied_resource="",
        keep=document_id,
    ),
    Step(
        "KnowledgeService/ReingestDocument",
        lambda known: {
            "module_key": "kb",
            "document_id": known.get("document", "d"),
            "body": json_body(content=f"{PLANTED} again"),
        },
        lambda known: f"kb/{known.get('document')}",
        denied_resource="",
    ),
    Step(
        "KnowledgeService/CreateReindex",
        {"module_key": "kb"},
        "kb",
        keep=lambda answer: {"reindex": answer.reindex.id},
    ),
    Step(
        "KnowledgeService/CancelReindex",
        lambda known: {"module_key": "kb", "id": known.get("reindex", "r")},
        "kb",
    ),
    Step(
        "KnowledgeService/DeleteDocument",
        lambda known: {"module_key": "kb", "document_id": known.get("document", "d")},
        lambda known: f"kb/{known.get('document')}",
        denied_resource="kb/d",
    ),
    Step("KnowledgeService/DeleteModule", {"key": "kb"}, "kb"),
]

_DOCS = {"provider_key": "default", "index_id": "docs"}


async def _migration_ended(walk: Walk, token: str) -> None:
    """A worker that has been asked to stop does so a moment later, and an index is not deleted before."""
    got = Step("MigrationService/GetMigration", {"id": walk.known["migration"]}, "")
    async with asyncio.timeout(30):
        while (await walk.call(got, token)).migration.job.status in ("queued", "running"):
            await asyncio.sleep(0.01)


VECTOR_STEPS = [
    Step(
        "ProviderService/CreateProvider",
        {
            "key": "q",
            "driver": "qdrant",
            "label": PLANTED,
            "credentials": struct(apiKey=PLANTED),
            "settings": struct(url="https://127.0.0.1:1"),
        },
        "q",
    ),
    Step("ProviderService/UpdateProvider", {"provider_key": "q", "credentials": struct(apiKey=PLANTED + "2")}, "q"),
    Step("IndexService/CreateIndex", {"provider_key": "default", "name": "docs", "dimension": 2}, "default/docs"),
    Step("IndexService/UpdateIndex", {**_DOCS, "metadata": struct(note=PLANTED)}, "default/docs"),
    Step("PointService/Upsert", {**_DOCS, "points": [point("a", 1.0, 0.0, note=PLANTED)]}, "default/docs"),
    Step(
        "PointRestService/UpsertVectors",
        {**_DOCS, "body": json_body(vectors=[{"id": PLANTED, "values": [1, 0]}])},
        "default/docs",
    ),
    Step("PointService/Delete", {**_DOCS, "ids": [PLANTED]}, "default/docs"),
    Step("PointRestService/DeleteVectors", {**_DOCS, "body": json_body(ids=[PLANTED])}, "default/docs"),
    Step(
        "MigrationService/CreateMigration",
        {
            "source_provider_key": "default",
            "source_index_id": "docs",
            "destination_provider_key": "default",
            "destination_name": "copy",
        },
        lambda known: str(known.get("migration")),
        denied_resource="",
        keep=lambda answer: {"migration": answer.migration.id},
    ),
    Step(
        "MigrationService/CancelMigration",
        lambda known: {"id": known.get("migration", "m")},
        lambda known: str(known.get("migration")),
        denied_resource="m",
        after=_migration_ended,
    ),
    Step("IndexService/DeleteIndex", _DOCS, "default/docs"),
    Step("ProviderService/DeleteProvider", {"provider_key": "q"}, "q"),
]


async def _rule_fired(walk: Walk, token: str) -> None:
    """Wait for the incident and the event that the rule's first evaluation makes."""
    async with asyncio.timeout(30):
        while not (events := (await walk.call(Step("AlertService/ListAlertEvents", {}, ""), token)).events):
            await asyncio.sleep(0.01)
    walk.known |= {"event": events[0].id, "incident": events[0].incident_id}


ALERT_STEPS = [
    Step(
        "MonitoringService/CreateInferenceServer",
        {"key": "gpu", "name": PLANTED, "type": "vllm", "base_url": "http://127.0.0.1:1", "api_key": PLANTED},
        "gpu",
        denied_resource="",
    ),
    Step("MonitoringService/UpdateInferenceServer", {"key": "gpu", "api_key": PLANTED, "status": "disabled"}, "gpu"),
    Step(
        "AlertService/CreateAlertRule",
        {
            "name": PLANTED,
            "module": "inference",
            "metric": "server_up",
            "condition": {"operator": "lt", "threshold": 1},
            "no_data": "fire",
            "channels": [{"type": "webhook", "url": f"http://127.0.0.1:1/{PLANTED}", "secret": PLANTED}],
        },
        lambda known: str(known.get("rule")),
        denied_resource="",
        keep=lambda answer: {"rule": answer.rule.id},
        after=_rule_fired,
    ),
    Step(
        "AlertService/AcknowledgeAlertEvent",
        lambda known: {"id": known.get("event", "e")},
        lambda known: str(known.get("event")),
        denied_resource="e",
    ),
    Step(
        "AlertService/UpdateIncident",
        lambda known: {"id": known.get("incident", "i"), "status": "investigating"},
        lambda known: str(known.get("incident")),
        denied_resource="i",
    ),
    Step(
        "AlertService/AddIncidentNote",
        lambda known: {"id": known.get("incident", "i"), "content": PLANTED},
        lambda known: str(known.get("incident")),
        denied_resource="i",
    ),
    Step(
        "AlertService/UpdateAlertRule",
        lambda known: {"id": known.get("rule", "r"), "description": PLANTED},
        lambda known: str(known.get("rule")),
        denied_resource="r",
    ),
    Step(
        "AlertService/DeleteAlertRule",
        lambda known: {"id": known.get("rule", "r")},
        lambda known: str(known.get("rule")),
        denied_resource="r",
    ),
    Step("MonitoringService/DeleteInferenceServer", {"key": "gpu"}, "gpu"),
]


@asynccontextmanager
async def service(name: str, settings: Any, build: Any, folder: Path, **env: str) -> AsyncIterator[tuple[Any, Signer]]:
    signer = Signer()
    async with serving.served(name, settings, build, folder, signer, **env) as running:
        yield running, signer


async def check(walk: Walk, signer: Signer, steps: list[Step]) -> None:
    await walk_succeeds(walk, steps, "acme", lambda: signer.token(tenant="acme", sub="somebody"), "somebody", "api")
    walk.known.clear()
    await walk.call(steps[0], signer.token(tenant="globex"))  # so that the tenant has a store
    await walk_is_denied(
        walk, steps, "globex", lambda: signer.token(tenant="globex", sub="nobody", scopes=["usage:read"]), "nobody"
    )
    check_clean([*await walk.entries("acme"), *await walk.entries("globex")])


async def test_inference(tmp_path: Path) -> None:
    check_complete(INFERENCE, INFERENCE_STEPS)
    async with inference(tmp_path) as harness:
        await check(Walk(harness.running, harness.channel, INFERENCE), harness.signer, INFERENCE_STEPS)


def no_index_for_a_reindex(name: str) -> None:
    """A re-index waits for a service that is away, and can be cancelled meanwhile."""
    request = context.current()
    if name == "ensure_index" and request is not None and request.job is not None and request.job.kind == "rag.reindex":
        raise Unavailable("Away.", reason=SERVICE_AWAY)


async def test_rag(tmp_path: Path) -> None:
    check_complete(RAG, RAG_STEPS)
    neighbours = Neighbours()
    neighbours.vectors.before = no_index_for_a_reindex
    serve = partial(serve_rag, services=neighbours.services, tokens=FakeTokens())
    async with (
        service("rag", RagSettings, serve, tmp_path) as (running, signer),
        connect(running.port) as channel,
    ):
        walk = Walk(running, channel, RAG)
        await check(walk, signer, RAG_STEPS)
        # The conversion that was asked for is another entry, of the same actor, when its job has ended; but here the
        # file may have been deleted before it began.
        done = [each for each in await walk.entries("acme") if each.action == "file.conversion"]
        assert [each.actor_id for each in done] in ([], ["somebody"])


async def test_vector(tmp_path: Path) -> None:
    check_complete(VECTOR, VECTOR_STEPS)
    slow = {"PORTICO_VECTOR_LOOKUP_SECONDS": "5"}  # a migration waits so long, and can be cancelled meanwhile
    async with (
        service("vector", VectorSettings, serve_vector, tmp_path, **slow) as (running, signer),
        connect(running.port) as channel,
    ):
        walk = Walk(running, channel, VECTOR)
        await check(walk, signer, VECTOR_STEPS)
        ended = [each for each in await walk.entries("acme") if each.action == "migration.run"]
        assert [(each.outcome, each.reason, each.actor_id) for each in ended] == [("failure", "CANCELLED", "somebody")]


async def test_alerts(tmp_path: Path) -> None:
    sessions = [f"/{TRACING}.SessionService/{name}" for name in ("DeleteSession", "UpdateTracingSettings")]
    check_complete(TRACING, ALERT_STEPS, *sessions)
    async with (
        service("tracing", TracingSettings, serve_tracing, tmp_path) as (running, signer),
        connect(running.port) as channel,
    ):
        await check(Walk(running, channel, TRACING), signer, ALERT_STEPS)


async def test_a_migration_leaves_an_entry_of_whoever_asked_for_it(tmp_path: Path) -> None:
    """Jobs ran for nobody."""
    async with (
        service("vector", VectorSettings, serve_vector, tmp_path, PORTICO_VECTOR_LOOKUP_SECONDS="0.01") as (
            running,
            signer,
        ),
        connect(running.port) as channel,
    ):
        walk = Walk(running, channel, VECTOR)
        token = signer.token(tenant="acme", sub="somebody", jti="t7")
        steps = {step.rpc: step for step in VECTOR_STEPS}
        await walk.call(steps["IndexService/CreateIndex"], token)
        made = await walk.call(steps["MigrationService/CreateMigration"], token)
        async with asyncio.timeout(30):
            while not (ran := [e for e in await walk.entries("acme") if e.action == "migration.run"]):
                await asyncio.sleep(0.01)
        (entry,) = ran
        assert (entry.outcome, entry.resource_type, entry.resource_id) == ("success", "migration", made.migration.id)
        assert (entry.actor_kind, entry.actor_id, entry.token_id) == ("api", "somebody", "t7")
        assert entry.request_id == "walk MigrationService/CreateMigration"


async def test_a_conversion_leaves_an_entry_of_whoever_asked_for_it(tmp_path: Path) -> None:
    async with (
        service("rag", RagSettings, serve_rag, tmp_path) as (running, signer),
        connect(running.port) as channel,
    ):
        walk = Walk(running, channel, RAG)
        token = signer.token(tenant="acme", sub="somebody")
        body = form_body(keyHint="a.txt", convertToMarkdown="true")
        await walk.call(Step("FileService/UploadFile", {"bucket_key": "default", "body": body}, ""), token)
        async with asyncio.timeout(60):
            while not (ran := [e for e in await walk.entries("acme") if e.action == "file.conversion"]):
                await asyncio.sleep(0.01)
        (entry,) = ran
        assert (entry.outcome, entry.resource_id, entry.actor_id) == ("success", "default/a.txt", "somebody")
        check_clean(await walk.entries("acme"))
