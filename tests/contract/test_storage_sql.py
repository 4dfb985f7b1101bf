"""The compiled `where` against the evaluation in Python that defines it, and the stores against each other."""

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.storage import page_tokens
from core.storage.conditions import conditions, matches, order_key, sortable
from core.storage.documents import decode, encode, escape, unescape
from core.storage.ports import Collection, Cond, Level, Op, Order
from core.storage.sqlite_schema import create_table, indexes
from core.storage.statements import insert, segments_after, select_page, totals, update
from core.storage.where_sql import Clause, column, filtered
from core.tenancy import Project, Tenant

NOTES = Collection("notes", Level.PROJECT, unique=(("key",),), indexes=(("v",), ("v", "w"), ("createdAt",)))
RED = Project(Tenant("acme"), "red")

texts = st.text(max_size=4) | st.text("\0\x01\x02ab1[]\"'", max_size=4) | st.sampled_from(["1", "true", "null", "[1]"])
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-2, 2)
scalars = st.none() | st.booleans() | numbers | texts
values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(texts, scalars, max_size=2)
comparisons = st.builds(Cond, st.sampled_from([Op.GT, Op.GTE, Op.LT, Op.LTE]), numbers | texts)
conds = (
    scalars
    | st.builds(Cond, st.sampled_from([Op.EQ, Op.NE, Op.CONTAINS]), scalars)
    | comparisons
    | st.builds(Cond, st.just(Op.IN), st.lists(scalars, max_size=4))
    | st.tuples(comparisons, comparisons)
)
documents = st.fixed_dictionaries({}, optional={"v": values, "w": values})
wheres = st.dictionaries(st.sampled_from(["v", "w"]), conds, max_size=2)
many = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(create_table(NOTES))
    for statement in indexes(NOTES).values():
        connection.execute(statement)
    yield connection
    connection.close()


def run(database: sqlite3.Connection, clause: Clause) -> list[Any]:
    return database.execute(clause.sql, clause.values).fetchall()


def fill(database: sqlite3.Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    database.execute("DELETE FROM notes")
    filled = [{"id": f"n{i:03}", **row} for i, row in enumerate(rows)]
    database.executemany(insert(NOTES), [("red", row["id"], encode(row)) for row in filled])
    return filled


@many
@given(rows=st.lists(documents, max_size=6), where=wheres)
@example(rows=[{"v": 1}, {"v": True}, {"v": "1"}, {"v": [1]}, {}], where={"v": 1})
@example(rows=[{"v": "[1]"}, {"v": [1]}], where={"v": "[1]"})
@example(rows=[{"v": "a\0"}, {"v": "a"}], where={"v": Cond(Op.GT, "a")})
@example(rows=[{"v": 5e-324}, {"v": 1.7976931348623157e308}, {"v": 0.1 + 0.2}], where={"v": 0.1 + 0.2})
def test_a_where_means_the_same_in_sql_and_in_python(
    database: sqlite3.Connection, rows: list[dict[str, Any]], where: dict[str, Any]
) -> None:
    filled = fill(database, rows)
    clause = filtered(NOTES, conditions(NOTES, where))
    found = database.execute(f"SELECT id FROM notes WHERE {clause.sql}", clause.values).fetchall()
    assert sorted(id for (id,) in found) == [row["id"] for row in filled if matches(row, conditions(NOTES, where))]


@many
@given(rows=st.lists(documents, max_size=8), descending=st.booleans(), size=st.integers(1, 4))
def test_pages_in_sql_follow_the_order_in_python(
    database: sqlite3.Connection, rows: list[dict[str, Any]], descending: bool, size: int
) -> None:
    filled = fill(database, rows)
    by, found, position = column(NOTES, "v"), [], None
    while True:
        page: list[Any] = []
        for segment in segments_after(by, descending, position):
            page += run(database, select_page(NOTES, by, Clause("1"), segment, size - len(page)))
        if not page:
            break
        found += [row[2] for row in page]
        position = page[-1][1:]
    expected = sorted(
        filled, key=lambda row: (order_key(escaped(sortable(row.get("v")))), row["id"]), reverse=descending
    )
    assert found == [row["id"] for row in expected]


def escaped(value: Any) -> Any:
    """A list is ordered by its stored text, which `sortable` does not know; texts keep their order."""
    return escape(value) if isinstance(value, str) else value


@many
@given(st.text() | st.text("\0\x01\x02a"), st.text() | st.text("\0\x01\x02a"))
def test_escaping_is_undone_and_keeps_order(a: str, b: str) -> None:
    assert unescape(escape(a)) == a
    assert (escape(a) < escape(b)) == (a < b)
    assert "\0" not in escape(a)


@many
@given(st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_documents_are_read_back_exactly(value: Any) -> None:
    read = decode(encode({"v": value}))["v"]
    assert read == value
    assert repr(read) == repr(value)


@pytest.mark.parametrize(
    ("where", "index"),
    [({"v": "a"}, "v"), ({"v": 1}, "v"), ({"v": True}, "v"), ({"v": Cond(Op.GTE, 1.5)}, "v"),
     ({"v": Cond(Op.IN, ["a", "b"])}, "v"), ({"v": None}, "v"), ({"key": "k"}, "key")],
)  # fmt: skip
def test_a_where_uses_the_declared_index(database: sqlite3.Connection, where: dict[str, Any], index: str) -> None:
    clause = filtered(NOTES, conditions(NOTES, where))
    sql = f"EXPLAIN QUERY PLAN SELECT doc FROM notes WHERE project=? AND {clause.sql}"
    plan = " ".join(row[3] for row in database.execute(sql, ("red", *clause.values)))
    assert f"notes({index}" in plan
    assert "SCAN notes" not in plan


@pytest.mark.parametrize("position", [None, (5, "n1", "red"), ("a", "n1", "red"), (None, "n1", "red")])
@pytest.mark.parametrize("descending", [True, False])
def test_a_page_neither_sorts_nor_reads_what_is_before_it(
    database: sqlite3.Connection, position: Any, descending: bool
) -> None:
    by = column(NOTES, "createdAt")
    for segment in segments_after(by, descending, position):
        page = select_page(NOTES, by, Clause("project=?", ("red",)), segment, 50)
        plan = " ".join(row[3] for row in database.execute("EXPLAIN QUERY PLAN " + page.sql, page.values))
        assert "notes(createdAt)" in plan
        assert "TEMP B-TREE" not in plan
        assert position is None or "project=? AND <expr>" in plan or "IS NOT NULL" in segment.rows.sql


def test_values_are_never_part_of_the_statement() -> None:
    value = "'; DROP TABLE notes; --"
    where = {"v": (Cond(Op.EQ, value), Cond(Op.GT, value), Cond(Op.IN, [value]), Cond(Op.CONTAINS, value))}
    clause = filtered(NOTES, conditions(NOTES, where))
    new = update(NOTES, {"v": encode(value)}, clause)
    assert "DROP" not in clause.sql + new.sql
    assert new.sql.count("?") == len(new.values) == 5


@pytest.mark.parametrize("name", ["a'b", 'a"b', "a.b", "a)", "a\0", "", "a" * 65])
def test_names_that_would_change_the_statement_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        column(NOTES, name)
    with pytest.raises(InvalidInput):
        totals(NOTES, [name], [], Clause("1"), 10)
    with pytest.raises(InvalidInput):
        totals(NOTES, [], [name], Clause("1"), 10)


@many
@given(scalars.filter(lambda value: not isinstance(value, bool)), st.text(max_size=10))
def test_a_page_token_gives_its_position_back_to_the_same_list_alone(value: Any, id: str) -> None:
    bound = page_tokens.binding(RED, NOTES, conditions(NOTES, {"v": 1}), Order())
    token = page_tokens.encode(bound, (value, id, "red"))
    assert page_tokens.decode(bound, token) == (value, id, "red")
    assert token.isascii()
    assert "=" not in token
    for other in (
        conditions(NOTES, {"v": True}),
        conditions(NOTES, {"v": "1"}),
        conditions(NOTES, {"v": Cond(Op.NE, 1)}),
        [],
    ):
        with pytest.raises(InvalidInput):
            page_tokens.decode(page_tokens.binding(RED, NOTES, other, Order()), token)


def test_a_token_does_not_depend_on_the_order_of_a_set() -> None:
    tokens = {
        page_tokens.binding(RED, NOTES, conditions(NOTES, {"v": Cond(Op.IN, some)}), Order())
        for some in ({"a", "b", "c"}, frozenset("cba"), {"c", "a", "b"})
    }
    assert len(tokens) == 1
