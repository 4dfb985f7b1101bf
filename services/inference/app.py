"""Wires the inference service."""

from collections.abc import Sequence

from core.app import Platform
from core.circuits import CircuitBreakers
from core.jobs.jobs import Jobs
from core.lifecycle import Phase
from core.resilience import Resilience, RetryPolicy
from core.rpc.server import ServiceRegistration
from core.runtime_pool import RuntimePool
from core.tenancy import Project
from portico.inference.v1 import (
    inference_service_pb2_grpc,
    model_service_pb2_grpc,
    openai_service_pb2_grpc,
    provider_service_pb2_grpc,
    usage_service_pb2_grpc,
)
from services.inference.adapters.http import Connector
from services.inference.domain.chat import Chat
from services.inference.domain.drivers import DRIVERS, ECHO, Driver
from services.inference.domain.embeddings import Embeddings
from services.inference.domain.models import Models
from services.inference.domain.providers import Providers
from services.inference.domain.removal import ProjectRemoval
from services.inference.domain.reports import Reports
from services.inference.domain.routes import ClientKey, Route, RouteKey, Routes
from services.inference.domain.sending import Sender
from services.inference.domain.streams import COMMENT_TICKS, KeepAlive
from services.inference.domain.usage import FLUSH_SECONDS, Meter
from services.inference.ports import Client
from services.inference.servicers.models import ModelServicer
from services.inference.servicers.openai import OpenAIServicer
from services.inference.servicers.providers import ProviderServicer
from services.inference.servicers.typed import InferenceServicer
from services.inference.servicers.usage import UsageServicer
from services.inference.settings import Settings

_FLUSH_LIMIT = 10.0
_SWEEP_SECONDS = 30.0
_IDLE_SECONDS = 300.0


async def build(platform: Platform, settings: Settings) -> Sequence[ServiceRegistration]:
    registrations = await assemble(platform, settings)
    platform.follow_auth()
    return registrations


async def assemble(platform: Platform, settings: Settings) -> Sequence[ServiceRegistration]:
    """The service without its ties to auth."""
    max_answer_bytes = settings.provider_max_response_mb * 1024 * 1024
    connector = Connector(
        settings.outbound.guard(),
        max_connections=settings.provider_connections,
        max_response_bytes=max_answer_bytes,
    )
    tasks, store = platform.tasks, platform.store
    pool: RuntimePool[RouteKey, Route] = RuntimePool(settings.max_routes, _IDLE_SECONDS, _nothing)
    clients: RuntimePool[ClientKey, Client] = RuntimePool(settings.max_clients, _IDLE_SECONDS, _close)
    sealer = settings.sealing.sealer()

    def changed(project: Project) -> None:
        routes.changed(project)

    providers = Providers(store, sealer, connector.check, changed, _drivers(settings))
    models = Models(store, providers, changed)
    routes = Routes(providers, models, connector, pool, clients, tasks, idle_seconds=settings.provider_idle_seconds)
    meter = Meter(store, tasks, capacity=settings.usage_buffer)
    sender = Sender(_resilience(settings), clients, tasks, attempts=settings.retry_attempts)
    keep_alive = KeepAlive()
    chat = Chat(routes, sender, meter, keep_alive, max_answer_bytes=max_answer_bytes)
    embeddings = Embeddings(routes, sender, meter)
    jobs = Jobs(store, tasks, platform.lifecycle, audit_log=platform.audit)
    platform.removals.handle(jobs, ProjectRemoval(store, providers, changed).remove)
    await jobs.start()
    tasks.every("drop unused routes", _SWEEP_SECONDS, pool.sweep)
    tasks.every("drop unused clients", _SWEEP_SECONDS, clients.sweep)
    tasks.every("write usage", FLUSH_SECONDS, meter.flush)
    tasks.every("keep streams alive", settings.stream_keep_alive_seconds / COMMENT_TICKS, keep_alive.tick, jitter=0.0)
    platform.lifecycle.on_stop(Phase.FLUSH, "usage", meter.flush, _FLUSH_LIMIT)
    platform.lifecycle.on_stop(Phase.POOLS, "providers", clients.close, 5.0)
    return _registrations(
        OpenAIServicer(chat, embeddings),
        InferenceServicer(chat, embeddings),
        ProviderServicer(providers, models),
        ModelServicer(models, providers),
        UsageServicer(Reports(store)),
    )


def _drivers(settings: Settings) -> dict[str, Driver]:
    """Those that the installation offers."""
    return {id: driver for id, driver in DRIVERS.items() if id != ECHO or settings.echo_driver}


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


async def _nothing(route: Route) -> None:
    """A route holds nothing that needs closing."""


def _registrations(
    openai: OpenAIServicer,
    typed: InferenceServicer,
    providers: ProviderServicer,
    models: ModelServicer,
    usage: UsageServicer,
) -> Sequence[ServiceRegistration]:
    package = "portico.inference.v1"
    return [
        ServiceRegistration(
            f"{package}.OpenAIService", openai_service_pb2_grpc.add_OpenAIServiceServicer_to_server, openai
        ),
        ServiceRegistration(
            f"{package}.InferenceService", inference_service_pb2_grpc.add_InferenceServiceServicer_to_server, typed
        ),
        ServiceRegistration(
            f"{package}.ProviderService", provider_service_pb2_grpc.add_ProviderServiceServicer_to_server, providers
        ),
        ServiceRegistration(
            f"{package}.ModelService", model_service_pb2_grpc.add_ModelServiceServicer_to_server, models
        ),
        ServiceRegistration(
            f"{package}.UsageService", usage_service_pb2_grpc.add_UsageServiceServicer_to_server, usage
        ),
    ]
