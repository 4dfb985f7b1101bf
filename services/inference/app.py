"""Wires the inference service."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core import telemetry
from core.app import Platform
from core.circuits import CircuitBreakers
from core.config import ConfigError
from core.jobs.jobs import Jobs
from core.lifecycle import Phase
from core.providers.drivers import Values
from core.providers.providers import HostGuard
from core.quotas.rules import Dimension
from core.resilience import Resilience, RetryPolicy
from core.rpc.client import ServiceClient
from core.rpc.limits import MIB
from core.rpc.metrics import MetricsServicer
from core.rpc.server import ServiceRegistration
from core.runtime_pool import RuntimePool
from core.storage.write_ahead import WriteAhead
from portico.inference.v1 import (
    anthropic_service_pb2_grpc,
    guardrail_service_pb2_grpc,
    inference_service_pb2_grpc,
    metrics_service_pb2_grpc,
    model_service_pb2_grpc,
    openai_service_pb2_grpc,
    pii_service_pb2_grpc,
    prompt_service_pb2_grpc,
    provider_service_pb2_grpc,
    quota_status_service_pb2_grpc,
    rerank_service_pb2_grpc,
    reranker_service_pb2_grpc,
    spend_service_pb2_grpc,
    usage_service_pb2_grpc,
)
from services.inference.adapters.http import HttpClientFactory
from services.inference.adapters.rag import RagMemories
from services.inference.domain.admission.recorded_spend import RecordedSpend
from services.inference.domain.admission.step import AdmissionSteps
from services.inference.domain.catalogue.drivers import ECHO, LOCAL, ModelDriver, offered_drivers
from services.inference.domain.catalogue.model_room import ModelRoom
from services.inference.domain.catalogue.models import Models
from services.inference.domain.catalogue.providers import ModelProviders
from services.inference.domain.codecs.formats import codecs
from services.inference.domain.echo.upstream import EchoUpstream
from services.inference.domain.guardrails import sources
from services.inference.domain.guardrails.evaluations import EvaluationLog
from services.inference.domain.guardrails.evaluator import Evaluator
from services.inference.domain.guardrails.pii_policies import PiiPolicies
from services.inference.domain.guardrails.steps import GuardrailSteps, PiiSteps, PipelineJudge
from services.inference.domain.guardrails.store import Guardrails
from services.inference.domain.guardrails.word_lists_store import WordLists
from services.inference.domain.memory.step import MemoryStep
from services.inference.domain.pipeline.metering_step import Metering
from services.inference.domain.pipeline.pipeline import Pipeline, steps
from services.inference.domain.pipeline.tracing_step import traced
from services.inference.domain.project_removal import ProjectRemoval
from services.inference.domain.prompts.comments import Comments
from services.inference.domain.prompts.compiled import MAX_AGE_SECONDS, CompiledKey, CompiledPrompts
from services.inference.domain.prompts.prompts import Prompts
from services.inference.domain.prompts.step import PromptStep
from services.inference.domain.prompts.templates import Template
from services.inference.domain.rerank.reranking import Reranking
from services.inference.domain.rerank.store import Rerankers
from services.inference.domain.routing.innermost import Routing
from services.inference.domain.routing.routes import Route, RouteKey, Routes
from services.inference.domain.routing.sending import ProviderSender
from services.inference.domain.routing.streams import COMMENT_TICKS, KeepAlive
from services.inference.domain.routing.targets import ClientKey
from services.inference.domain.tables import RERANKERS
from services.inference.domain.usage.metering import FLUSH_SECONDS, Meter
from services.inference.domain.usage.metrics import InferenceMetrics
from services.inference.domain.usage.overview import Overviews
from services.inference.domain.usage.quota_status import QuotaStatus
from services.inference.domain.usage.reports import Reports
from services.inference.domain.usage.spend import Spend
from services.inference.domain.usage.tenant_data import UsageJournal
from services.inference.domain.usage.totals import UsageTotals
from services.inference.ports import BuiltInClients, Client, ClientFactory, Memories
from services.inference.servicers.anthropic import AnthropicServicer
from services.inference.servicers.guardrails import GuardrailServicer
from services.inference.servicers.models import ModelServicer
from services.inference.servicers.openai import OpenAIServicer
from services.inference.servicers.pii import PiiServicer
from services.inference.servicers.prompts import PromptServicer
from services.inference.servicers.providers import ProviderServicer
from services.inference.servicers.quota_status import QuotaStatusServicer
from services.inference.servicers.rerank import RerankServicer
from services.inference.servicers.rerankers import RerankerServicer
from services.inference.servicers.spend import SpendServicer
from services.inference.servicers.typed import InferenceServicer
from services.inference.servicers.usage import UsageServicer
from services.inference.settings import MemorySettings, Settings

if TYPE_CHECKING:  # its libraries are an optional extra
    from services.inference.adapters.local.models import LocalModels

_FLUSH_LIMIT = 10.0
_SWEEP_SECONDS = 30.0
_IDLE_SECONDS = 300.0
_RECOVER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Domain:
    """The parts of the domain, assembled."""

    jobs: Jobs
    pool: RuntimePool[RouteKey, Route]
    clients: RuntimePool[ClientKey, Client]
    providers: ModelProviders
    models: Models
    routes: Routes
    meter: Meter
    keep_alive: KeepAlive
    pipeline: Pipeline
    reports: Reports
    spend: Spend
    quota_status: QuotaStatus
    model_room: ModelRoom
    overviews: Overviews
    metrics: InferenceMetrics
    guardrails: Guardrails
    word_lists: WordLists
    pii_policies: PiiPolicies
    evaluator: Evaluator
    evaluations: EvaluationLog
    prompts: Prompts
    compiled_prompts: RuntimePool[CompiledKey, Template]
    comments: Comments
    rerankers: Rerankers
    reranking: Reranking
    local: "LocalModels | None"


async def build(platform: Platform, settings: Settings) -> Sequence[ServiceRegistration]:
    registrations = await serve(platform, settings)
    platform.follow_auth()
    return registrations


async def serve(platform: Platform, settings: Settings, domain: Domain | None = None) -> Sequence[ServiceRegistration]:
    """The service without its ties to auth."""
    domain = domain or assemble(platform, settings)
    await _start(platform, settings, domain)
    return _registrations(domain)


def assemble(
    platform: Platform,
    settings: Settings,
    *,
    guard: HostGuard | None = None,
    make_client: ClientFactory | None = None,
    drivers: Mapping[str, ModelDriver] | None = None,
    memories: Memories | None = None,
) -> Domain:
    """The domain on the platform's store. Nothing works in the background yet. A part that is given takes the place of
    the one that the settings ask for."""
    tasks, store = platform.tasks, platform.store
    local = _local_models(settings)
    pool: RuntimePool[RouteKey, Route] = RuntimePool(settings.max_routes, _IDLE_SECONDS, _nothing)
    clients: RuntimePool[ClientKey, Client] = RuntimePool(settings.max_clients, _IDLE_SECONDS, _close)
    providers = ModelProviders(
        store,
        settings.sealing.sealer(),
        guard or settings.outbound.guard(),
        drivers or offered_drivers(echo=settings.echo_driver, local=local is not None),
    )
    word_lists = WordLists(store)
    guardrails = Guardrails(store, word_lists)
    pii_policies = PiiPolicies(store, settings.sealing.sealer())
    references = {
        "inputGuardrailKey": guardrails.check_open,
        "outputGuardrailKey": guardrails.check_open,
        "piiPolicyKey": pii_policies.check_open,
    }
    users = {
        "rerankers": lambda project, key: store.count(project, RERANKERS, {"modelKey": key}),
        "guardrails": guardrails.count_on,
    }
    models = Models(store, providers, references, users)
    evaluations = EvaluationLog(store, tasks, capacity=settings.usage_buffer)
    judge, guards = PipelineJudge(), sources.guards(guardrails, word_lists)
    prompts = Prompts(store)
    compiled: RuntimePool[CompiledKey, Template] = RuntimePool(
        settings.max_prompts, _IDLE_SECONDS, _nothing, MAX_AGE_SECONDS
    )
    prompt_step = PromptStep(CompiledPrompts(prompts, compiled))
    journal = _usage_journal(platform, settings)
    meter = Meter(store, tasks, capacity=settings.usage_buffer, journal=journal, sync=settings.usage_sync)
    metering = traced(Metering(meter))
    keep_alive = KeepAlive()
    max_bytes = _max_answer_bytes(settings)
    sender = ProviderSender(_resilience(settings), clients, tasks, keep_alive, max_answer_bytes=max_bytes)
    routes = Routes(
        providers,
        models,
        make_client or _http_clients(settings),
        _built_in_clients(local),
        pool,
        clients,
        tasks,
        codecs=codecs(max_event_bytes=max_bytes),
        steps=steps(
            admission=AdmissionSteps(platform.admission).step,
            prompt=prompt_step.of,
            memory=_memory_step(platform, settings.memory, memories).of,
            guardrails=GuardrailSteps(guards, judge, evaluations),
            pii=PiiSteps(sources.policies(pii_policies)),
        ),
        innermost=Routing(sender, metering, tasks),
        idle_seconds=settings.provider_idle_seconds,
    )
    changes = {
        "model-providers": providers.changes,
        "models": models.changes,
        "guardrails": guardrails.changes,
        "word-lists": word_lists.changes,
        "pii-policies": pii_policies.changes,
        "prompts": prompts.changes,
    }
    for topic, each in changes.items():
        each.share(platform.shared.fanout, topic)
    totals = UsageTotals(store)
    platform.admission.count_from(Dimension.SPEND, RecordedSpend(totals, meter.flush))
    jobs = Jobs(
        store,
        tasks,
        platform.lifecycle,
        audit_log=platform.audit,
        fanout=platform.shared.fanout,
        paused=platform.revocations.is_suspended,
    )
    platform.removals.handle(jobs, ProjectRemoval(store, providers).remove)
    platform.tenant_data.keep(UsageJournal(meter))
    platform.tenant_data.settle_by(meter.flush)
    platform.tenant_data.settle_by(evaluations.flush)
    rerankers = Rerankers(store, models)
    judge.pipeline = pipeline = Pipeline(routes, metering, prompt_step.applied, attempts=settings.retry_attempts)
    return Domain(
        jobs=jobs,
        pool=pool,
        clients=clients,
        providers=providers,
        models=models,
        routes=routes,
        meter=meter,
        keep_alive=keep_alive,
        pipeline=pipeline,
        reports=Reports(store, totals),
        spend=Spend(store, totals),
        model_room=ModelRoom(store, platform.totals),
        quota_status=QuotaStatus(platform.admission, shared=platform.shared.redis is not None),
        overviews=Overviews(totals),
        metrics=InferenceMetrics(store, totals),
        guardrails=guardrails,
        word_lists=word_lists,
        pii_policies=pii_policies,
        evaluator=Evaluator(guardrails, guards, judge, evaluations),
        evaluations=evaluations,
        prompts=prompts,
        compiled_prompts=compiled,
        comments=Comments(store, prompts),
        rerankers=rerankers,
        reranking=Reranking(pipeline, rerankers),
        local=local,
    )


def _usage_journal(platform: Platform, settings: Settings) -> WriteAhead:
    folder = platform.settings.store.data_dir / "journal"
    return WriteAhead(folder, "usage", max_bytes=settings.usage_journal_mb * MIB)


def _memory_step(platform: Platform, settings: MemorySettings, memories: Memories | None) -> MemoryStep:
    if memories is None:
        client = ServiceClient("rag", settings.rag_address)
        platform.lifecycle.on_stop(Phase.POOLS, "channel to rag", client.close, 5.0)
        memories = RagMemories(client)
    return MemoryStep(
        memories, platform.tasks, recall_seconds=settings.recall_seconds, store_seconds=settings.store_seconds
    )


def _max_answer_bytes(settings: Settings) -> int:
    return settings.provider_max_response_mb * 1024 * 1024


def _http_clients(settings: Settings) -> HttpClientFactory:
    return HttpClientFactory(
        settings.outbound.guard(),
        max_connections=settings.provider_connections,
        max_response_bytes=_max_answer_bytes(settings),
    )


def _local_models(settings: Settings) -> "LocalModels | None":
    """The local models, where there is a folder of them. Raises ConfigError where their libraries are missing."""
    if settings.local_models is None:
        return None
    try:
        from services.inference.adapters.local.models import LocalModels
    except ImportError:
        raise ConfigError(["PORTICO_LOCAL_MODELS needs the extra local: pip install 'portico[local]'."]) from None
    return LocalModels(
        settings.local_models,
        threads=settings.local_threads or os.cpu_count() or 1,
        capacity=settings.local_loaded,
        max_waiting=settings.local_queue_characters,
    )


def _built_in_clients(local: "LocalModels | None") -> BuiltInClients:
    clients: dict[str, Callable[[Values], Client]] = {
        ECHO: lambda values: Client(EchoUpstream(delay=int(values.get("delayMs", "0")) / 1000))
    }
    if local is not None:
        from services.inference.adapters.local.upstream import LocalUpstream

        clients[LOCAL] = lambda values: Client(LocalUpstream(local))
    return clients


def _resilience(settings: Settings) -> Resilience:
    policy = RetryPolicy(
        attempts=settings.retry_attempts,
        initial=settings.retry_first_delay_seconds,
        patience=settings.retry_patience_seconds,
    )
    breakers = CircuitBreakers(threshold=settings.breaker_threshold, reset=settings.breaker_reset_seconds)
    return Resilience(policy, breakers)


async def _close(client: Client) -> None:
    await client.upstream.close()


async def _nothing(value: object) -> None:
    """Routes and templates hold nothing that needs closing."""


async def _start(platform: Platform, settings: Settings, domain: Domain) -> None:
    tasks, lifecycle, meter = platform.tasks, platform.lifecycle, domain.meter
    await domain.jobs.start()
    await meter.recover()
    tasks.every("take over journals", _RECOVER_SECONDS, meter.recover)
    telemetry.metrics().watch(meter.metrics)
    tasks.every("drop unused routes", _SWEEP_SECONDS, domain.pool.sweep)
    tasks.every("drop unused prompts", _SWEEP_SECONDS, domain.compiled_prompts.sweep)
    tasks.every("drop unused clients", _SWEEP_SECONDS, domain.clients.sweep)
    if domain.local is not None:
        tasks.every("drop unused local models", _SWEEP_SECONDS, domain.local.sweep)
        lifecycle.on_stop(Phase.POOLS, "local models", domain.local.close, 5.0)
    tasks.every("write usage", FLUSH_SECONDS, meter.flush)
    tasks.every("write evaluations", FLUSH_SECONDS, domain.evaluations.flush)
    seconds = settings.stream_keep_alive_seconds / COMMENT_TICKS
    tasks.every("keep streams alive", seconds, domain.keep_alive.tick, jitter=0.0)
    lifecycle.on_stop(Phase.FLUSH, "usage", meter.close, _FLUSH_LIMIT)
    lifecycle.on_stop(Phase.FLUSH, "evaluations", domain.evaluations.flush, _FLUSH_LIMIT)
    lifecycle.on_stop(Phase.POOLS, "providers", domain.clients.close, 5.0)


def _registrations(domain: Domain) -> Sequence[ServiceRegistration]:
    package = "portico.inference.v1"
    return [
        ServiceRegistration(
            f"{package}.OpenAIService",
            openai_service_pb2_grpc.add_OpenAIServiceServicer_to_server,
            OpenAIServicer(domain.pipeline),
        ),
        ServiceRegistration(
            f"{package}.AnthropicService",
            anthropic_service_pb2_grpc.add_AnthropicServiceServicer_to_server,
            AnthropicServicer(domain.pipeline),
        ),
        ServiceRegistration(
            f"{package}.InferenceService",
            inference_service_pb2_grpc.add_InferenceServiceServicer_to_server,
            InferenceServicer(domain.pipeline),
        ),
        ServiceRegistration(
            f"{package}.ProviderService",
            provider_service_pb2_grpc.add_ProviderServiceServicer_to_server,
            ProviderServicer(domain.providers, domain.models),
        ),
        ServiceRegistration(
            f"{package}.ModelService",
            model_service_pb2_grpc.add_ModelServiceServicer_to_server,
            ModelServicer(domain.models, domain.providers, domain.model_room),
        ),
        ServiceRegistration(
            f"{package}.UsageService",
            usage_service_pb2_grpc.add_UsageServiceServicer_to_server,
            UsageServicer(domain.reports),
        ),
        ServiceRegistration(
            f"{package}.QuotaStatusService",
            quota_status_service_pb2_grpc.add_QuotaStatusServiceServicer_to_server,
            QuotaStatusServicer(domain.quota_status),
        ),
        ServiceRegistration(
            f"{package}.SpendService",
            spend_service_pb2_grpc.add_SpendServiceServicer_to_server,
            SpendServicer(domain.spend, domain.overviews),
        ),
        ServiceRegistration(
            f"{package}.MetricsService",
            metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server,
            MetricsServicer(domain.metrics.collect),
        ),
        ServiceRegistration(
            f"{package}.GuardrailService",
            guardrail_service_pb2_grpc.add_GuardrailServiceServicer_to_server,
            GuardrailServicer(domain.guardrails, domain.word_lists, domain.evaluator, domain.evaluations),
        ),
        ServiceRegistration(
            f"{package}.PiiService",
            pii_service_pb2_grpc.add_PiiServiceServicer_to_server,
            PiiServicer(domain.pii_policies),
        ),
        ServiceRegistration(
            f"{package}.PromptService",
            prompt_service_pb2_grpc.add_PromptServiceServicer_to_server,
            PromptServicer(domain.prompts, domain.comments),
        ),
        ServiceRegistration(
            f"{package}.RerankService",
            rerank_service_pb2_grpc.add_RerankServiceServicer_to_server,
            RerankServicer(domain.reranking),
        ),
        ServiceRegistration(
            f"{package}.RerankerService",
            reranker_service_pb2_grpc.add_RerankerServiceServicer_to_server,
            RerankerServicer(domain.rerankers),
        ),
    ]
