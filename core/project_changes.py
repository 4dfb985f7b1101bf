"""Notifications that a project's records have changed, for what keeps them in memory."""

from collections.abc import Callable

from core.fanout.ports import Fanout
from core.tenancy import Project, Scope

Listener = Callable[[Project | None], object]
"""Called with the project whose records have changed; None: those of any project may have."""


class ProjectChanges:
    """Each owner of records has one: providers, indexes, models. Other processes are told where the changes are shared;
    without that, what they keep in memory has to be looked up again after a while."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._tell: Callable[[Project], object] | None = None

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` at every change, before the call that made the change is answered. It must not raise."""
        self._listeners.append(listener)

    def share(self, fanout: Fanout, topic: str) -> None:
        """Tell other processes of the changes made here, and the listeners here of theirs. Before `fanout.start`."""

        def heard(scope: Scope, text: str) -> None:
            if isinstance(scope, Project):
                self.notify(scope)

        self._tell = lambda project: fanout.publish(topic, project)
        fanout.subscribe(topic, heard, lambda: self.notify(None))

    def publish(self, project: Project) -> None:
        """Tell all listeners that records of the project have changed: no later call may use what was before."""
        self.notify(project)
        if self._tell is not None:
            self._tell(project)

    def notify(self, project: Project | None) -> None:
        """Tell the listeners in this process alone; None: records of any project may have changed."""
        for listener in self._listeners:
            listener(project)
