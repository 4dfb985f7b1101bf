"""Notifications within a process that a project's records have changed, for what keeps them in memory."""

from collections.abc import Callable

from core.tenancy import Project

Listener = Callable[[Project], object]


class ProjectChanges:
    """Each owner of records has one: providers, indexes, models. Other processes are not told: what they keep in memory
    has to be looked up again after a while."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` at every change, before the call that made the change is answered. It must not raise."""
        self._listeners.append(listener)

    def publish(self, project: Project) -> None:
        """Tell all listeners that records of the project have changed: no later call may use what was before."""
        for listener in self._listeners:
            listener(project)
