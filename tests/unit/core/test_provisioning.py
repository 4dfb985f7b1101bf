"""Right to create and drop tenants' databases."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROVISIONING = {"create_tenant", "drop_tenant"}


def callers() -> set[str]:
    """The modules of core and services that call a provisioning method of a store."""
    found = set()
    for path in [*ROOT.glob("core/**/*.py"), *ROOT.glob("services/**/*.py")]:
        text = path.read_text()
        if not any(name in text for name in PROVISIONING):
            continue  # to parse it would take milliseconds
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in PROVISIONING:
                found.add(path.relative_to(ROOT).as_posix())
    return found


def test_auth_alone_creates_and_drops_tenants() -> None:
    assert callers() == {
        "services/auth/domain/tenants.py",
        "services/auth/operations/erasure.py",
        "services/auth/operations/move.py",
        "services/auth/operations/restoring.py",
    }


def test_nothing_prepares_a_collection_at_run_time() -> None:
    """Every handler prepared its collections, which made the database of a removed tenant anew."""
    sources = [*ROOT.glob("core/**/*.py"), *ROOT.glob("services/**/*.py")]
    assert [path for path in sources if "store.prepare(" in path.read_text()] == []
