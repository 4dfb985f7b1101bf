"""Notices of changes to what is kept in memory."""

from core.project_changes import ProjectChanges
from core.tenancy import Project, Tenant

ACME, GLOBEX = Project(Tenant("acme"), "p1"), Project(Tenant("globex"), "p1")


def test_every_listener_hears_of_every_change_in_the_order_of_subscribing() -> None:
    changes, heard = ProjectChanges(), list[tuple[str, Project]]()
    changes.publish(ACME)  # nobody listens yet
    changes.subscribe(lambda project: heard.append(("first", project)))
    changes.subscribe(lambda project: heard.append(("second", project)))
    changes.publish(ACME)
    changes.publish(GLOBEX)
    assert heard == [("first", ACME), ("second", ACME), ("first", GLOBEX), ("second", GLOBEX)]


def test_changes_of_one_owner_can_be_changes_of_another() -> None:
    providers, indexes, heard = ProjectChanges(), ProjectChanges(), list[Project]()
    providers.subscribe(indexes.publish)
    indexes.subscribe(heard.append)
    providers.publish(ACME)
    assert heard == [ACME]
