"""Routes: a model and its provider, compiled once for calls and kept in memory.

A change drops the project's routes at once, in other processes too where they tell each other (`core.fanout`). Other
changes are noticed by looking again, beside the calls, when a route is used that was last checked `REFRESH_SECONDS`
ago; one that nobody checked for `STALE_SECONDS` is checked before it is used.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from core import logs
from core.errors import FailedPrecondition, InvalidInput, NotFound, Unavailable
from core.http.limits import BODY_SECONDS
from core.http.ports import Timeouts
from core.providers.records import ACTIVE, Provider
from core.runtime_pool import RuntimePool
from core.tasks import Tasks
from core.tenancy import Project
from services.inference.domain.catalogue.dynamic_settings import DynamicSettings
from services.inference.domain.catalogue.model_settings import DEFAULT_TIMEOUT
from services.inference.domain.catalogue.models import Model, Models, provider_keys, target_settings
from services.inference.domain.catalogue.providers import ModelProviders
from services.inference.domain.catalogue.routing_settings import TargetSettings
from services.inference.domain.codecs.formats import Codecs
from services.inference.domain.codecs.scrubbing import scrubber
from services.inference.domain.pipeline.answer import Answer
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.pipeline.step import Next, StepFactory, compile_steps
from services.inference.domain.routing.targets import ClientKey, Target
from services.inference.ports import BuiltInClients, Client, ClientFactory

REFRESH_SECONDS = 5.0
STALE_SECONDS = 15.0
_MAX_SHOWN_KEY = 128

log = logs.get(__name__)

RouteKey = tuple[str, str, str]
"""Tenant, project, model key."""


Count = Callable[[Exchange], Awaitable[int]]


@dataclass(slots=True, eq=False)
class Route:
    """One model, ready to be called. Only `checked` and `checking` ever change."""

    project: Project
    model_key: str
    category: str
    targets: Sequence[Target]
    """Targets of active providers. None for a dynamic model."""
    usable: bool
    """False where every provider is disabled."""
    answer: Next
    """The pipeline's steps, compiled for this model."""
    count: Count
    """Counts the tokens of a chat."""
    version: tuple[float, ...]
    checked: float = 0.0
    """Monotonic seconds."""
    checking: bool = field(default=False, repr=False)


class Innermost(Protocol):
    """Makes the last step of a route."""

    def targets(self, model: Model, targets: Sequence[Target], shadow: Target | None) -> Next: ...

    def count(self, project: Project, model: Model, targets: Sequence[Target], routes: "Routes") -> Count: ...

    def dynamic(self, project: Project, model: Model, dynamic: DynamicSettings, routes: "Routes") -> Next: ...


class Routes:
    """Finds routes. `pool` holds them; `clients` the connections of each version of a provider, which are used under a
    lease; `built_in` makes those of drivers that need no network. `steps` are compiled into each route; `innermost`
    makes what follows the last of them. A provider may be silent within an answer for `idle_seconds`."""

    def __init__(
        self,
        providers: ModelProviders,
        models: Models,
        make_client: ClientFactory,
        built_in: BuiltInClients,
        pool: RuntimePool[RouteKey, Route],
        clients: RuntimePool[ClientKey, Client],
        tasks: Tasks,
        *,
        codecs: Codecs,
        steps: Sequence[StepFactory],
        innermost: Innermost,
        idle_seconds: float,
    ) -> None:
        self._providers = providers
        self._models = models
        self._make_client = make_client
        self._built_in = built_in
        self._pool = pool
        self._clients = clients
        self._tasks = tasks
        self._codecs = codecs
        self._steps = steps
        self._innermost = innermost
        self._idle_seconds = idle_seconds
        self._changes = 0
        for changes in (providers.changes, models.changes):
            changes.subscribe(self.forget)

    def known(self, project: Project, model: str, category: str) -> Route | None:
        """The route of a model key where it is in memory and need not be checked now; else `find` it. Raises as
        `find`."""
        route = self._pool.lookup((project.tenant.slug, project.id, model))
        if route is None or time.monotonic() - route.checked > REFRESH_SECONDS:
            return None
        return route if route.usable and route.category == category else _usable(route, category)

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
        return _usable(route, category)

    def forget(self, project: Project | None) -> None:
        """Forget the project's routes after a change, or with None all routes: no call that begins after this uses what
        was before."""
        self._changes += 1
        mine = project and (project.tenant.slug, project.id)
        self._pool.invalidate(lambda key: mine is None or key[:2] == mine)

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
            providers = await self._providers_of(project, model)
            if changes == self._changes:  # or what was read may be what was before
                return self._route(project, model, providers, now)

    async def _providers_of(self, project: Project, model: Model) -> dict[str, Provider]:
        """The model's providers by key; those that do not exist any more are left out."""
        found: dict[str, Provider] = {}
        for key in provider_keys(model):
            with suppress(NotFound):
                found[key] = await self._providers.get(project, key, field="model")
        return found

    def _route(self, project: Project, model: Model, providers: Mapping[str, Provider], now: float) -> Route:
        dynamic, targets = model.settings.dynamic, self._targets(project, model, providers)
        if dynamic is not None:
            innermost = self._innermost.dynamic(project, model, dynamic, self)
        else:
            shadow = self._shadow(project, model, providers) if targets else None
            innermost = self._innermost.targets(model, targets, shadow) if targets else _unusable
        changed = [time for key in sorted(providers) for time in (providers[key].updated_at, providers[key].created_at)]
        return Route(
            project=project,
            model_key=model.key,
            category=model.category,
            targets=targets,
            usable=bool(targets) or dynamic is not None,
            answer=compile_steps(self._steps, project, model, innermost),
            count=self._innermost.count(project, model, targets, self),
            version=(model.updated_at, model.created_at, *changed),
            checked=now,
        )

    def _targets(self, project: Project, model: Model, providers: Mapping[str, Provider]) -> Sequence[Target]:
        """The targets that can be called. Raises FailedPrecondition where the model's providers are gone, or all their
        drivers turned off."""
        if model.settings.dynamic is not None:
            return ()
        wanted = target_settings(model)
        there = [each for each in wanted if each.provider_key in providers]
        if not there:
            raise FailedPrecondition(
                f"The provider of the model {model.key} does not exist any more.",
                reason="PROVIDER_MISSING",
                field="model",
            )
        targets, refusal = [], None
        for each in there:
            try:
                target = self._target(project, model, providers[each.provider_key], each)
            except FailedPrecondition as error:
                refusal = error
            else:
                if providers[each.provider_key].status == ACTIVE:
                    targets.append(target)
        if refusal is not None and not targets:
            raise refusal
        return targets

    def _shadow(self, project: Project, model: Model, providers: Mapping[str, Provider]) -> Target | None:
        shadow = model.settings.routing.shadow if model.settings.routing else None
        provider = providers.get(shadow.provider_key) if shadow else None
        if shadow is None or provider is None or provider.status != ACTIVE:
            return None
        with suppress(FailedPrecondition):
            return self._target(project, model, provider, TargetSettings(shadow.provider_key, shadow.model_id))
        return None

    def _target(self, project: Project, model: Model, provider: Provider, wanted: TargetSettings) -> Target:
        driver, settings = self._providers.driver_of(provider, field="model"), model.settings
        codec = self._codecs.get((driver.format, model.category))
        if codec is None or model.category not in driver.categories:
            raise FailedPrecondition(
                f"The driver {driver.id} cannot call models of the category {model.category}.",
                reason="CATEGORY_NOT_SERVED",
                field="model",
            )
        credentials = self._providers.credentials(project, provider)
        endpoint = driver.endpoint(provider.settings, credentials) if driver.endpoint else None
        base = urlsplit(endpoint.url).path if endpoint else ""

        async def make_client() -> Client:
            return self._built_in[driver.id](provider.settings) if endpoint is None else self._make_client(endpoint)

        key_prefix = (project.tenant.slug, project.id, provider.id)
        self._drop_older((*key_prefix, provider.updated_at))
        return Target(
            model_key=model.key,
            model_id=wanted.model_id,
            defaults=tuple(settings.request_defaults.items()),
            extra=dict(settings.extra_body),
            unsupported=settings.unsupported_params,
            whole_with_tools=settings.disable_streaming_with_tools,
            scrub=scrubber(tuple(credentials.values()), wanted.model_id, model.key),
            provider_key=provider.key,
            codec=codec,
            breaker=(*key_prefix, wanted.model_id),
            client_key=(*key_prefix, provider.updated_at),
            make_client=make_client,
            path=(base + driver.path(provider.settings, model.category, wanted.model_id)).encode(),
            timeouts=self._timeouts(wanted.timeout or settings.timeout or DEFAULT_TIMEOUT),
            pricing=model.pricing,
            weight=wanted.weight,
            priority=wanted.priority,
            whole_seconds=wanted.timeout or None,
            first_token_seconds=wanted.first_token_timeout or None,
        )

    def _timeouts(self, seconds: float) -> Timeouts:
        """Some providers send the head at once and blanks while they think: the model's time holds for the body too."""
        return Timeouts(first_byte=seconds, idle=self._idle_seconds, body=max(seconds, BODY_SECONDS))

    def _drop_older(self, key: ClientKey) -> None:
        """Drop clients of the provider as it was before, which hold credentials that nobody may use any more."""
        if self._clients.lookup(key) is None:
            self._clients.invalidate(lambda each: each[:3] == key[:3] and each != key)


async def _unusable(exchange: Exchange) -> Answer:
    raise TypeError("a route without targets is not called")


def _usable(route: Route, category: str) -> Route:
    """The route. Raises InvalidInput, FailedPrecondition where this call cannot use it."""
    if route.category != category:
        raise InvalidInput(
            f"The model {route.model_key} is of the category {route.category}; this call needs {category}.",
            reason="WRONG_MODEL_CATEGORY",
            field="model",
        )
    if not route.usable:
        raise FailedPrecondition(
            f"The provider of the model {route.model_key} is disabled.", reason="PROVIDER_DISABLED", field="model"
        )
    return route
