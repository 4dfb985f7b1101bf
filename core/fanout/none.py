"""No fan-out: there are no other processes, or they look often enough by themselves."""

from core.fanout.ports import Heard, Missed
from core.tasks import Tasks
from core.tenancy import Scope


class NoFanout:
    """Tells nobody, hears nothing."""

    def publish(self, topic: str, scope: Scope, text: str = "") -> None:
        """Do nothing."""

    def subscribe(self, topic: str, heard: Heard, missed: Missed) -> None:
        """Do nothing."""

    def start(self, tasks: Tasks) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""
