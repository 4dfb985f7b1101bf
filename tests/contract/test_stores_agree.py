"""Any sequence of calls gets the same answers from every engine."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from core.errors import Conflict, PorticoError
from core.storage.ports import INTEGER, TEXT, TIME, Collection, Cond, Document, DocumentStore, Level, Op, Order
from core.storage.schema import Schema
from core.tenancy import AllProjects, Project, Scope, Tenant
from tests.contract.conftest import BACKENDS
from tests.contract.documents import CALLS, COUNTS, counting

NOTES = Collection(
    "notes",
    Level.PROJECT,
    {"key": TEXT, "n": INTEGER, "until": TIME},
    unique=(("key",), ("key", "n")),
    indexes=(("n",), ("key", "n")),
    expiry="until",
)
ACME = Tenant("acme")

projects = st.sampled_from([Project(ACME, "red"), Project(ACME, "blue")])
scopes: st.SearchStrategy[Scope] = projects | st.just(AllProjects(ACME))
ids = st.sampled_from(["a", "b", "c", "d\0", "d\x01"])
fields = st.sampled_from(["key", "n", "v"])
times = st.sampled_from([None, 1, 1.5, 1e12])
scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.5, 1.0, "", "a", "a\0", "1", "\ud800"])
values = scalars | st.lists(scalars, max_size=2) | st.just({"deep": None})
texts = st.sampled_from(["", "a", "a\0", "1"])
bodies = st.dictionaries(fields, values, max_size=3) | st.fixed_dictionaries(
    {}, optional={"key": texts, "n": st.integers(-2, 2), "v": values, "until": times}
)
documents = st.builds(lambda id, body: {**body, "id": id}, ids, bodies)
conds = (
    scalars
    | st.builds(Cond, st.sampled_from([Op.EQ, Op.NE, Op.CONTAINS, Op.GT, Op.LTE]), scalars)
    | st.builds(Cond, st.just(Op.IN), st.lists(scalars, max_size=3))
)
wheres = st.dictionaries(fields | st.sampled_from(["id", "project"]), conds, max_size=2)
orders = st.builds(Order, fields | st.just("id"), st.booleans())
groups = st.lists(fields | st.just("project"), max_size=2, unique=True)


class Agreement(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.stores = [make(Path(self.folder.name)).open(Schema([NOTES, CALLS, COUNTS])) for make in BACKENDS.values()]
        self.same(lambda store: store.create_tenant(ACME))

    def teardown(self) -> None:
        self.same(lambda store: store.close())
        self.runner.close()
        self.folder.cleanup()

    def same(self, call: Callable[[DocumentStore], Awaitable[Any]]) -> Any:
        first, *others = [self.runner.run(outcome(call(store))) for store in self.stores]
        assert all(repr(other) == repr(first) for other in others), (first, *others)
        return first

    @rule(scope=projects, document=documents)
    def insert(self, scope: Scope, document: Document) -> None:
        self.same(lambda store: store.insert(scope, NOTES, document))

    @rule(scope=projects, batch=st.lists(documents, max_size=4))
    def insert_many(self, scope: Scope, batch: list[Document]) -> None:
        self.same(lambda store: store.insert_many(scope, NOTES, batch))

    @rule(scope=projects, batch=st.lists(st.tuples(ids, st.integers(-2, 2)), max_size=4))
    def insert_counted(self, scope: Scope, batch: list[tuple[str, int]]) -> None:
        calls = [{"id": id, "kind": str(tokens % 2), "tokens": tokens} for id, tokens in batch]
        self.same(lambda store: store.insert_counted(scope, CALLS, calls, COUNTS, counting))
        self.same(lambda store: store.find(scope, COUNTS, order=Order("id")))

    @rule(scope=scopes, id=ids)
    def get(self, scope: Scope, id: str) -> None:
        if isinstance(scope, Project):  # an id that two projects have is either's
            self.same(lambda store: store.get(scope, NOTES, id))

    @rule(scope=projects, id=ids, changes=bodies, where=wheres)
    def update(self, scope: Scope, id: str, changes: Document, where: Document) -> None:
        self.same(lambda store: store.update(scope, NOTES, id, changes, where=where))

    @rule(scope=projects, id=ids, amount=st.integers(-2, 2), initial=bodies)
    def increment(self, scope: Scope, id: str, amount: int, initial: Document) -> None:
        self.same(lambda store: store.increment(scope, NOTES, id, {"n": amount}, initial=initial))

    @rule(scope=scopes, id=ids)
    def delete(self, scope: Scope, id: str) -> None:
        self.same(lambda store: store.delete(scope, NOTES, id))

    @rule(scope=scopes, where=wheres)
    def delete_where(self, scope: Scope, where: Document) -> None:
        self.same(lambda store: store.delete_where(scope, NOTES, where))

    @rule(scope=scopes, where=wheres)
    def count(self, scope: Scope, where: Document) -> None:
        self.same(lambda store: store.count(scope, NOTES, where))

    @rule(scope=scopes, where=wheres, group_by=groups)
    def totals(self, scope: Scope, where: Document, group_by: list[str]) -> None:
        sums = [name for name in ("n", "v") if name not in group_by]
        self.same(lambda store: store.totals(scope, NOTES, where, group_by=group_by, sums=sums))

    @rule(scope=scopes, where=wheres, order=orders, size=st.integers(0, 3))
    def pages(self, scope: Scope, where: Document, order: Order, size: int) -> None:
        self.same(lambda store: every_page(store, scope, where, order, size))


async def every_page(store: DocumentStore, scope: Scope, where: Document, order: Order, size: int) -> list[Document]:
    found: list[Document] = []
    token = ""
    while True:
        page = await store.find(scope, NOTES, where, order=order, page_size=size, page_token=token)
        found += [dict(sorted(item.items())) for item in page.items]
        if not (token := page.next_token):
            return found


async def outcome(call: Awaitable[Any]) -> Any:
    try:
        result = await call
    except Conflict:  # where two groups are broken, either may be named
        return Conflict
    except (PorticoError, TypeError) as error:
        return type(error), getattr(error, "field", None)
    return dict(sorted(result.items())) if isinstance(result, dict) else result


TestAgreement = Agreement.TestCase
TestAgreement.settings = settings(
    max_examples=50, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
