"""Routes: a model and its provider, compiled once for calls and kept in memory.

A change in this process drops the project's routes at once. Changes by other processes are noticed by looking again,
beside the calls, when a route is used that was last checked `REFRESH_SECONDS` ago; one that nobody checked for
`STALE_SECONDS` is checked before it is used.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

from core import logs
from core.errors import FailedPrecondition, InvalidInput, NotFound, Unavailable
from core.http.limits import BODY_SECONDS
from core.http.ports import Timeouts
from core.providers.records import ACTIVE, Provider
from core.runtime_pool import RuntimePool
from core.tasks import Tasks
from core.tenancy import Project
from services.inference.domain.catalogue.models import DEFAULT_TIMEOUT, EMBEDDING, Model, Models
from services.inference.domain.catalogue.providers import ModelProviders
from services.inference.domain.codecs.codec import Unserved
from services.inference.domain.codecs.formats import Codecs
from services.inference.domain.codecs.scrubbing import scrubber
from services.inference.domain.echo.upstream import EchoUpstream
from services.inference.domain.pipeline.answer import Answer
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.pipeline.step import Next, StepFactory, compile_steps
from services.inference.domain.routing.counting import count_tokens
from services.inference.domain.routing.targets import ClientKey, Target
from services.inference.ports import Client, ClientFactory

REFRESH_SECONDS = 5.0
STALE_SECONDS = 15.0
_MAX_SHOWN_KEY = 128

log = logs.get(__name__)

RouteKey = tuple[str, str, str]
"""Tenant, project, model key."""


@dataclass(slots=True, eq=False)
class Route:
    """One model, ready to be called. Only `checked` and `checking` ever change."""

    project: Project
    model_key: str
    category: str
    target: Target
    provider_active: bool
    answer: Next
    """The pipeline's steps, compiled for this model."""
    count: Callable[[Exchange], Awaitable[int]]
    """Counts the tokens of a chat."""
    version: tuple[float, ...]
    checked: float = 0.0
    """Monotonic seconds."""
    checking: bool = field(default=False, repr=False)


class Routes:
    """Finds routes. `pool` holds them; `clients` the connections of each version of a provider, which are used under a
    lease. `steps` are compiled into each route; `send` is what follows the last of them. A provider may be silent
    within an answer for `idle_seconds`."""

    def __init__(
        self,
        providers: ModelProviders,
        models: Models,
        make_client: ClientFactory,
        pool: RuntimePool[RouteKey, Route],
        clients: RuntimePool[ClientKey, Client],
        tasks: Tasks,
        *,
        codecs: Codecs,
        steps: Sequence[StepFactory],
        send: Callable[[Exchange, Target], Awaitable[Answer]],
        idle_seconds: float,
    ) -> None:
        self._providers = providers
        self._models = models
        self._make_client = make_client
        self._pool = pool
        self._clients = clients
        self._tasks = tasks
        self._codecs = codecs
        self._steps = steps
        self._send = send
        self._idle_seconds = idle_seconds
        self._changes = 0
        for changes in (providers.changes, models.changes):
            changes.subscribe(self.forget)

    async def find(self, project: Project, model: str, category: str) -> Route:
        """Find the route of a model key. Raises NotFound (the model), InvalidInput (another category),
        FailedPrecondition (disabled provider)."""
        key = (project.tenant.slug, project.id, model)
        route = self._pool.lookup(key)
        if route is None:
            route = await self._pool.get(key, lambda: self._build(project, model))
        else:
            age = time.monotonic() - route.checked
            if age > STALE_SECONDS:
                route = await self._checked(key, route)
            elif age > REFRESH_SECONDS and not route.checking:
                self._check_beside(key, route)
        if route.category != category:
            raise InvalidInput(
                f"The model {route.model_key} is of the category {route.category}; this call needs {category}.",
                reason="WRONG_MODEL_CATEGORY",
                field="model",
            )
        if not route.provider_active:
            raise FailedPrecondition(
                f"The provider of the model {route.model_key} is disabled.", reason="PROVIDER_DISABLED", field="model"
            )
        return route

    def forget(self, project: Project) -> None:
        """Forget the project's routes after a change: no call that begins after this uses what was before."""
        self._changes += 1
        mine = (project.tenant.slug, project.id)
        self._pool.invalidate(lambda key: key[:2] == mine)

    def _check_beside(self, key: RouteKey, route: Route) -> None:
        async def check() -> None:
            with suppress(NotFound, FailedPrecondition):  # the next call hears of it
                await self._checked(key, route)

        with suppress(Unavailable):  # too much background work: a later call tries again
            self._tasks.spawn("check route", check())
            route.checking = True

    async def _checked(self, key: RouteKey, old: Route) -> Route:
        """`old` if it still holds, or what holds instead. Raises NotFound or FailedPrecondition if nothing does."""
        try:
            new = await self._build(old.project, old.model_key)
        except (NotFound, FailedPrecondition):
            self._pool.invalidate(key)
            raise
        except Exception as error:  # a store's trouble, whatever its driver calls it: calls go on with what is known
            log.warning("route not checked", error=type(error).__name__)
            old.checked = time.monotonic() - REFRESH_SECONDS
            return old
        finally:
            old.checking = False
        if new.version == old.version:
            old.checked = new.checked
            return old
        self._pool.invalidate(key)
        return await self._pool.get(key, lambda: self._build(old.project, old.model_key))

    async def _build(self, project: Project, key: str) -> Route:
        while True:
            changes, now = self._changes, time.monotonic()
            model = await self._models.by_key(project, key)
            if model is None:
                raise NotFound(
                    f"There is no model {key[:_MAX_SHOWN_KEY]} in this project.",
                    reason="MODEL_NOT_FOUND",
                    field="model",
                )
            provider = await self._provider(project, model)
            if changes == self._changes:  # or what was read may be what was before
                return self._route(project, model, provider, now)

    async def _provider(self, project: Project, model: Model) -> Provider:
        try:
            return await self._providers.get(project, model.provider_key, field="model")
        except NotFound:
            raise FailedPrecondition(
                f"The provider of the model {model.key} does not exist any more.",
                reason="PROVIDER_MISSING",
                field="model",
            ) from None

    def _route(self, project: Project, model: Model, provider: Provider, now: float) -> Route:
        target = self._target(project, model, provider)
        return Route(
            project=project,
            model_key=model.key,
            category=model.category,
            target=target,
            provider_active=provider.status == ACTIVE,
            answer=compile_steps(self._steps, project, model, lambda exchange: self._send(exchange, target)),
            count=partial(count_tokens, target=target, send=self._send),
            version=(model.updated_at, provider.updated_at, model.created_at, provider.created_at),
            checked=now,
        )

    def _target(self, project: Project, model: Model, provider: Provider) -> Target:
        driver, settings = self._providers.driver_of(provider, field="model"), model.settings
        credentials = self._providers.credentials(project, provider)
        endpoint = driver.endpoint(provider.settings, credentials) if driver.endpoint else None
        base = urlsplit(endpoint.url).path if endpoint else ""
        chat, embeddings = driver.paths(provider.settings, model.model_id)

        async def make_client() -> Client:
            if endpoint is None:
                return Client(EchoUpstream(delay=int(provider.settings.get("delayMs", "0")) / 1000))
            return self._make_client(endpoint)

        key_prefix = (project.tenant.slug, project.id, provider.id)
        self._drop_older((*key_prefix, provider.updated_at))
        return Target(
            model_key=model.key,
            model_id=model.model_id,
            defaults=tuple(settings.request_defaults.items()),
            extra=dict(settings.extra_body),
            unsupported=settings.unsupported_params,
            whole_with_tools=settings.disable_streaming_with_tools,
            scrub=scrubber(tuple(credentials.values()), model.model_id, model.key),
            provider_key=provider.key,
            codec=self._codecs.get((driver.format, model.category)) or Unserved(driver.id, model.category),
            breaker=(*key_prefix, model.model_id),
            client_key=(*key_prefix, provider.updated_at),
            make_client=make_client,
            path=(base + (embeddings if model.category == EMBEDDING else chat)).encode(),
            timeouts=self._timeouts(settings.timeout or DEFAULT_TIMEOUT),
            pricing=model.pricing,
        )

    def _timeouts(self, seconds: float) -> Timeouts:
        """Some providers send the head at once and blanks while they think: the model's time holds for the body too."""
        return Timeouts(first_byte=seconds, idle=self._idle_seconds, body=max(seconds, BODY_SECONDS))

    def _drop_older(self, key: ClientKey) -> None:
        """Drop clients of the provider as it was before, which hold credentials that nobody may use any more."""
        if self._clients.lookup(key) is None:
            self._clients.invalidate(lambda each: each[:3] == key[:3] and each != key)
