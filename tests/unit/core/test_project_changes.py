"""Notices of changes to what is kept in memory."""

from core.fanout.ports import Heard, Missed
from core.project_changes import ProjectChanges
from core.tasks import Tasks
from core.tenancy import MAIN, Project, Scope, Tenant

ACME, GLOBEX = Project(Tenant("acme"), "p1"), Project(Tenant("globex"), "p1")


class FakeFanout:
    def __init__(self) -> None:
        self.told: list[tuple[str, Scope]] = []
        self.heard: dict[str, tuple[Heard, Missed]] = {}

    def publish(self, topic: str, scope: Scope, text: str = "") -> None:
        self.told.append((topic, scope))

    def subscribe(self, topic: str, heard: Heard, missed: Missed) -> None:
        self.heard[topic] = heard, missed

    def start(self, tasks: Tasks) -> None: ...

    async def close(self) -> None: ...


def test_every_listener_hears_of_every_change_in_the_order_of_subscribing() -> None:
    changes, heard = ProjectChanges(), list[tuple[str, Project | None]]()
    changes.publish(ACME)  # nobody listens yet
    changes.subscribe(lambda project: heard.append(("first", project)))
    changes.subscribe(lambda project: heard.append(("second", project)))
    changes.publish(ACME)
    changes.publish(GLOBEX)
    assert heard == [("first", ACME), ("second", ACME), ("first", GLOBEX), ("second", GLOBEX)]


def test_changes_of_one_owner_can_be_changes_of_another() -> None:
    providers, indexes, heard = ProjectChanges(), ProjectChanges(), list[Project | None]()
    providers.subscribe(indexes.notify)
    indexes.subscribe(heard.append)
    providers.publish(ACME)
    assert heard == [ACME]


def test_other_processes_are_told_of_changes_and_theirs_are_heard_but_not_told_again() -> None:
    providers, indexes, fanout, heard = ProjectChanges(), ProjectChanges(), FakeFanout(), list[Project | None]()
    providers.share(fanout, "providers")
    indexes.share(fanout, "indexes")
    providers.subscribe(indexes.notify)
    indexes.subscribe(heard.append)
    providers.publish(ACME)
    assert fanout.told == [("providers", ACME)]
    hear, missed = fanout.heard["providers"]
    hear(GLOBEX, "")
    hear(MAIN, "no project: ignored")
    missed()
    assert heard == [ACME, GLOBEX, None]
    assert fanout.told == [("providers", ACME)]
