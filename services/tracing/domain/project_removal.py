"""Remove a deleted project's traces."""

from collections.abc import Awaitable, Callable, Sequence

from core.tenancy import Project


class ProjectRemoval:
    """`others` remove what the other parts of the service keep."""

    def __init__(self, others: Sequence[Callable[[Project], Awaitable[None]]] = ()) -> None:
        self._others = others

    async def remove(self, project: Project, last: bool) -> bool:
        """See core.project_removal.Remove."""
        for remove in self._others:
            await remove(project)
        return True
