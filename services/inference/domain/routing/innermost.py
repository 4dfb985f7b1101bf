"""The last steps of routes: to a single target, to one of several, or to the model that a dynamic one chooses."""

from collections.abc import Sequence
from functools import partial

from core.tasks import Tasks
from core.tenancy import Project
from services.inference.domain.catalogue.dynamic_settings import DynamicSettings
from services.inference.domain.catalogue.models import Model
from services.inference.domain.pipeline.step import Next, Step
from services.inference.domain.routing.counting import count_tokens, estimate_tokens
from services.inference.domain.routing.dynamic import DynamicRouter, count_by_default
from services.inference.domain.routing.router import Router
from services.inference.domain.routing.routes import Count, Routes
from services.inference.domain.routing.sending import ProviderSender
from services.inference.domain.routing.shadow import Shadow
from services.inference.domain.routing.targets import Target


class Routing:
    """Makes the last steps of routes."""

    def __init__(self, sender: ProviderSender, metering: Step, tasks: Tasks) -> None:
        self._sender = sender
        self._metering = metering
        self._tasks = tasks

    def targets(self, model: Model, targets: Sequence[Target], shadow: Target | None) -> Next:
        """The step of a model with targets, one at least."""
        routing = model.settings.routing
        if routing is None:
            return self._sender.to(targets[0])
        copies = None
        if shadow is not None and routing.shadow is not None:
            copies = Shadow(self._sender, self._metering, self._tasks, shadow, routing.shadow.percent / 100)
        return Router(self._sender, targets, routing.policy, copies)

    def count(self, project: Project, model: Model, targets: Sequence[Target], routes: Routes) -> Count:
        """The counter of the tokens of a chat: the first target, or a dynamic model's default."""
        dynamic = model.settings.dynamic
        if dynamic is not None:
            return partial(count_by_default, project=project, dynamic=dynamic, routes=routes)
        return partial(count_tokens, target=targets[0], send=self._sender.send) if targets else estimate_tokens

    def dynamic(self, project: Project, model: Model, dynamic: DynamicSettings, routes: Routes) -> Next:
        """The step of a dynamic model."""
        return DynamicRouter(project, model.key, dynamic, routes, self._metering)
