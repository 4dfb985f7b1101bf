"""A job that calls another service with a token of its own: real auth, the real inference service, and a third service
whose jobs do the calling."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from core import app, context
from core.app import Platform, Running
from core.cache.memory import MemoryCache
from core.cache.none import NoCache
from core.context import Kind
from core.errors import Unavailable
from core.jobs.identity import RENEW_SECONDS
from core.jobs.jobs import Jobs
from core.jobs.limits import JobLimits
from core.jobs.records import Job, Status
from core.jobs.run import JobRun
from core.revocations import Revocation
from core.rpc.channel import caller_metadata, open_channel
from core.rpc.server import ServiceRegistration
from core.rpc.service_tokens import AuthServiceTokens
from core.storage.tenant_registry import TENANTS
from core.tenancy import MAIN, Project, Tenant
from portico.auth.v1 import project_service_pb2 as projects_pb
from portico.inference.v1 import model_service_pb2 as models_pb
from portico.inference.v1 import model_service_pb2_grpc as models_grpc
from portico.inference.v1 import provider_service_pb2 as providers_pb
from portico.inference.v1 import provider_service_pb2_grpc as providers_grpc
from services.inference.app import build as build_inference
from services.inference.settings import Settings as InferenceSettings
from tests.support.auth_service import AuthClient, Person, Refused, auth_service, environment
from tests.support.stores import schema_of
from tests.support.waiting import until

C = grpc.StatusCode
LIST = models_pb.ListModelsRequest()


@dataclass(frozen=True)
class NoSettings:
    """The calling service has none of its own."""


@dataclass
class Caller:
    """The service whose jobs call inference: for its list of models, or for the payload's `model`."""

    port: int
    answers: list[Any] = field(default_factory=list)
    identities: list[Any] = field(default_factory=list)
    jobs: Jobs = field(init=False)

    async def build(self, platform: Platform, settings: NoSettings) -> Sequence[ServiceRegistration]:
        limits = JobLimits(poll=0.02, first_retry=0.01)
        self.jobs = Jobs(
            platform.store, platform.tasks, platform.lifecycle, tokens=platform.service_tokens, limits=limits
        )
        for kind, scopes in {"reads": {"inference:read"}, "writes": {"usage:read"}, "plain": set[str]()}.items():
            self.jobs.handle(kind, self._run, None, scopes=scopes)
        platform.removals.handle(self.jobs, _nothing_kept)
        await self.jobs.start()
        platform.follow_auth()
        return []

    async def _run(self, run: JobRun) -> None:
        request = context.current()
        assert request is not None
        self.identities.append(request.identity)
        async with open_channel(f"127.0.0.1:{self.port}") as channel:
            models = models_grpc.ModelServiceStub(channel)
            wanted = run.payload.get("model")
            call = (
                models.GetModel(models_pb.GetModelRequest(id=wanted), metadata=caller_metadata(), timeout=10)
                if wanted
                else models.ListModels(LIST, metadata=caller_metadata(), timeout=10)
            )
            try:
                self.answers.append(await call)
            except grpc.aio.AioRpcError as error:
                self.answers.append(Refused(error))

    async def done(self, project: Project, kind: str, **payload: Any) -> tuple[Job, Any]:
        """The job when it has ended, and what it was answered."""
        before = len(self.answers)
        job = await self.jobs.submit(project, kind, payload)
        async with asyncio.timeout(30):
            while not (now := await self.jobs.get(project, job.id)).status.ended:
                await asyncio.sleep(0.01)
        return now, self.answers[-1] if len(self.answers) > before else None


async def _refused(call: Any) -> Refused | None:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return Refused(error)
    return None


async def _nothing_kept(project: Project, last: bool) -> bool:
    return True


@dataclass
class Harness:
    auth: AuthClient
    caller: Caller
    platform: Platform
    """The calling service's."""
    acme: Person
    globex: Person

    def project(self, person: Person) -> Project:
        return Project(Tenant(person.tenant), person.project)


@asynccontextmanager
async def started(name: str, settings_class: Any, build: Any, folder: Path, auth_port: int) -> AsyncIterator[Running]:
    env = {**environment(folder), "PORTICO_AUTH_ADDRESS": f"127.0.0.1:{auth_port}"}
    core_settings, settings = app.load(settings_class, env)
    running = await app.start(name, core_settings, settings, build, schema_of(name))
    try:
        await until(lambda: running.platform.keys and running.platform.revocations.known, 30.0)
        yield running
    finally:
        await running.platform.lifecycle.stop()


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    async with auth_service(tmp_path / "auth") as auth:
        port = auth.running.port
        async with started("inference", InferenceSettings, build_inference, tmp_path / "auth", port) as inference:
            caller = Caller(inference.port)
            async with started("caller", NoSettings, caller.build, tmp_path / "auth", port) as running:
                people = [await auth.register(name) for name in ("acme", "globex")]
                async with open_channel(f"127.0.0.1:{inference.port}") as channel:
                    for person in people:
                        await _model(channel, person)
                yield Harness(auth, caller, running.platform, *people)


async def _model(channel: grpc.aio.Channel, owner: Person) -> None:
    """One model, which is named as its tenant."""
    bearer = (("authorization", f"Bearer {owner.token}"),)
    provider = providers_pb.CreateProviderRequest(driver="echo", key="p", label="P")
    await providers_grpc.ProviderServiceStub(channel).CreateProvider(provider, metadata=bearer)
    model = models_pb.CreateModelRequest(
        key=owner.tenant, name="M", category="llm", provider_key="p", model_id="upstream"
    )
    await models_grpc.ModelServiceStub(channel).CreateModel(model, metadata=bearer)


async def test_a_job_is_let_in_for_its_own_tenant_alone(harness: Harness) -> None:
    for person in (harness.acme, harness.globex):
        job, answer = await harness.caller.done(harness.project(person), "reads")
        assert job.status is Status.SUCCEEDED
        assert [model.key for model in answer.models] == [person.tenant]
    _, answer = await harness.caller.done(harness.project(harness.acme), "reads", model="globex")
    assert answer.code is C.NOT_FOUND


async def test_a_job_acts_as_its_service_with_the_scopes_of_its_kind(harness: Harness) -> None:
    project = harness.project(harness.acme)
    await harness.caller.done(project, "reads")
    (identity,) = harness.caller.identities
    assert (identity.project, identity.kind, identity.subject) == (project, Kind.SERVICE, "caller")
    assert identity.scopes == frozenset({"inference:read"})


async def test_a_job_whose_kind_lacks_the_scope_is_refused(harness: Harness) -> None:
    project = harness.project(harness.acme)
    _, answer = await harness.caller.done(project, "writes")
    assert (answer.code, answer.reason) == (C.PERMISSION_DENIED, "MISSING_SCOPE")
    _, answer = await harness.caller.done(project, "plain")
    assert (answer.code, answer.reason) == (C.UNAUTHENTICATED, "NO_TOKEN")


async def test_no_token_is_minted_for_another_tenants_project(harness: Harness) -> None:
    mixed = Project(Tenant("acme"), harness.globex.project)
    job, answer = await harness.caller.done(mixed, "reads")
    assert (job.status, job.reason, answer) == (Status.FAILED, "PROJECT_NOT_FOUND", None)
    assert job.attempts == 1


async def test_the_job_of_a_removed_tenant_is_refused(harness: Harness) -> None:
    assert await harness.auth.running.platform.store.delete(MAIN, TENANTS, "globex")
    job, answer = await harness.caller.done(harness.project(harness.globex), "reads")
    assert (job.status, job.reason, answer) == (Status.FAILED, "PROJECT_NOT_FOUND", None)
    _, answer = await harness.caller.done(harness.project(harness.acme), "reads")
    assert [model.key for model in answer.models] == ["acme"]


async def test_the_tokens_of_a_deleted_project_are_refused_by_every_service(harness: Harness) -> None:
    """They were good for the rest of their five minutes."""
    auth, acme = harness.auth, harness.acme
    made = await auth.call(auth.projects.CreateProject, projects_pb.CreateProjectRequest(name="Gone"), acme.token)
    project = Project(Tenant("acme"), made.project.id)
    token = await harness.platform.service_tokens.get(project, frozenset({"inference:read"}))
    async with open_channel(f"127.0.0.1:{harness.caller.port}") as channel:
        models = models_grpc.ModelServiceStub(channel)
        metadata = (("authorization", f"Bearer {token.text}"),)
        assert not (await models.ListModels(LIST, metadata=metadata)).models
        await auth.call(auth.projects.DeleteProject, projects_pb.DeleteProjectRequest(id="gone"), acme.token)
        async with asyncio.timeout(10):
            while (refused := await _refused(models.ListModels(LIST, metadata=metadata))) is None:
                await asyncio.sleep(0.01)
        assert refused.reason == "TOKEN_REVOKED"
    _, answer = await harness.caller.done(harness.project(acme), "reads")
    assert [model.key for model in answer.models] == ["acme"]  # another project of the tenant is not affected


async def test_a_token_is_asked_for_once_until_it_is_about_to_end(harness: Harness) -> None:
    tokens, project = harness.platform.service_tokens, harness.project(harness.acme)
    reads, writes = frozenset({"inference:read"}), frozenset({"models:write"})
    first = await tokens.get(project, reads)
    assert await tokens.get(project, reads) == first
    others = [await tokens.get(project, writes), await tokens.get(harness.project(harness.globex), reads)]
    assert len({first.text, *(each.text for each in others)}) == 3


async def test_a_token_that_is_not_good_any_more_is_asked_for_anew(harness: Harness) -> None:
    """A cached one was used for the rest of its time, though every service refused it."""
    project, reads = harness.project(harness.acme), frozenset({"inference:read"})
    tokens = harness.platform.service_tokens
    first = await tokens.get(project, reads)
    harness.platform.revocations.add([Revocation("acme", first.identity.token_id)])
    second = await tokens.get(project, reads)
    assert second.text != first.text
    assert await tokens.get(project, reads) == second
    late = time.time() + 300 - RENEW_SECONDS + 1
    rpc, platform = harness.platform.settings.rpc, harness.platform
    later = AuthServiceTokens(
        "caller", rpc.auth_address, rpc.service_secret, platform.verifier, MemoryCache(), lambda: late
    )
    with pytest.raises(Unavailable):  # by that clock, any token of auth's ends soon
        await later.get(project, reads)
    await later.close()


async def test_without_a_cache_a_token_is_asked_for_each_time(harness: Harness) -> None:
    rpc, platform = harness.platform.settings.rpc, harness.platform
    tokens = AuthServiceTokens("caller", rpc.auth_address, rpc.service_secret, platform.verifier, NoCache())
    project, reads = harness.project(harness.acme), frozenset({"inference:read"})
    assert await tokens.get(project, reads) != await tokens.get(project, reads)
    await tokens.close()
