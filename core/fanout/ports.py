"""The port of messages to other processes, such as that a record has changed.

A message is a hint to look again: what it is about is in the store. Nothing is missed for good, because a process that
was cut off is told so when it hears again, and looks everything up anew.
"""

from collections.abc import Callable
from typing import Protocol

from core.tasks import Tasks
from core.tenancy import Scope

Heard = Callable[[Scope, str], object]
"""Called with the scope and the text of a message of another process. Must not raise."""
Missed = Callable[[], object]
"""Called when messages may have been missed. Must not raise."""


class Fanout(Protocol):
    """A topic is named in small letters and hyphens."""

    def publish(self, topic: str, scope: Scope, text: str = "") -> None:
        """Tell all other processes that subscribe to the topic, soon. Returns at once and never fails: what cannot be
        sent now is sent when it can."""

    def subscribe(self, topic: str, heard: Heard, missed: Missed) -> None:
        """Hear a topic's messages. Before `start`."""

    def start(self, tasks: Tasks) -> None:
        """Begin to hear and to send."""

    async def close(self) -> None:
        """Send what waits, if that is possible now, and stop."""
