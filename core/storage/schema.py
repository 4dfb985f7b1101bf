"""Schema of one process in the document store: its collections and its migrations.

A service declares both once, at start-up. The adapter applies them to each database when it first uses it: the main
one, and each tenant's.
"""

import copy
from collections.abc import Iterable

from core.storage.documents import check_collection
from core.storage.migrations import NO_MIGRATIONS, Migrations
from core.storage.ports import Collection, Level, check_level
from core.tenancy import AllProjects, Main, Project, Scope, Tenant


class Schema:
    """Declared collections, and the migrations of one service.

    Raises ValueError for a name that no adapter takes and for two collections of one name in one database.
    """

    def __init__(self, collections: Iterable[Collection] = (), migrations: Migrations = NO_MIGRATIONS) -> None:
        self.migrations = migrations
        self._collections: dict[tuple[bool, str], Collection] = {}
        for collection in collections:
            check_collection(collection)
            key = (collection.level is Level.MAIN, collection.name)
            if self._collections.setdefault(key, collection) != collection:
                raise ValueError(f"the collection {collection.name} is declared in two ways")
        self._known = {id(collection) for collection in self._collections.values()}
        self.applies = True
        """False: databases are taken as they are, whatever is declared."""

    def as_it_is(self) -> "Schema":
        """This schema for a migration, which reads what an older declaration wrote."""
        view = copy.copy(self)
        view.applies = False
        return view

    def of(self, database: Main | Tenant) -> list[Collection]:
        """The collections of the main database, or of every tenant's."""
        return [each for (is_main, _), each in self._collections.items() if is_main is isinstance(database, Main)]

    def check(self, scope: Scope, collection: Collection, *, write: bool) -> None:
        """The guard every adapter calls first. Raises TypeError for a scope of the wrong level and for a collection
        that was not declared."""
        check_level(scope, collection, write=write)
        if self.applies and id(collection) not in self._known and collection not in self._collections.values():
            raise TypeError(f"the collection {collection.name} is not declared by this service")


def database_of(scope: Scope) -> Main | Tenant:
    """The database that holds the records of a scope."""
    return scope.tenant if isinstance(scope, Project | AllProjects) else scope
