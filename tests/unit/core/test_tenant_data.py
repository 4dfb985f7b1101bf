"""The registry of what services keep of a tenant, and that nothing is missing from it."""

import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from core.collections import CORE_COLLECTIONS
from core.errors import InvalidInput, NotFound
from core.sealing import Sealer, generate_key
from core.storage.ports import TEXT, Collection, Level
from core.storage.sealed_values import key_ids, resealed, without_secrets
from core.tenancy import Project, Tenant
from core.tenant_data import Chunk, TenantDataRegistry, chunks, entries_of, lines_of
from services.auth.domain.tables import COLLECTIONS as AUTH
from services.inference.domain.tables import COLLECTIONS as INFERENCE
from services.rag.domain.tables import COLLECTIONS as RAG
from services.tracing.domain.tables import COLLECTIONS as TRACING
from services.vector.domain.tables import COLLECTIONS as VECTOR

ROOT = Path(__file__).resolve().parents[3]
ALL = (*CORE_COLLECTIONS, *AUTH, *INFERENCE, *RAG, *TRACING, *VECTOR)
OF_INSTALLATION = {"tenants", "installation", "signing_keys", "operator_log"}
"""Collections of the main database that belong to no tenant; the registry has a way of its own."""
FOLDERS = {
    "services/inference/app.py": {"journal": "usage-journal"},
    "services/rag/app.py": {"files": "files", "uploads": "", "conversions": ""},
    "services/vector/app.py": {"vectors": "vectors"},
}
"""Folders of the data folder, with the kind of state that each holds; empty: files of a call or job, which go with
it."""


async def given(*parts: Chunk) -> AsyncIterator[Chunk]:
    for part in parts:
        yield part


def sources() -> Iterable[tuple[str, str]]:
    for folder in ("core", "services"):
        for path in (ROOT / folder).rglob("*.py"):
            yield str(path.relative_to(ROOT)), path.read_text()


def test_every_collection_of_the_main_database_names_its_tenant_or_is_the_installations() -> None:
    """A collection without the field would be left out of backups, and survive an erasure."""
    main = [each for each in ALL if each.level is Level.MAIN]
    without = {each.name for each in main if each.fields.get("tenant") is not TEXT}
    assert without == OF_INSTALLATION


def test_every_folder_of_the_data_folder_is_declared() -> None:
    """A folder that no kind of state covers would be left out of backups, and survive an erasure."""
    found: dict[str, set[str]] = {}
    for name, source in sources():
        if folders := set(re.findall(r'data_dir / "([^".]+)"', source)):
            found[name] = folders
    assert found == {name: set(folders) for name, folders in FOLDERS.items()}
    kinds = {kind for _, source in sources() for kind in re.findall(r'^    kind = "([^"]+)"', source, re.MULTILINE)}
    assert {kind for folders in FOLDERS.values() for kind in folders.values() if kind} <= kinds


def test_every_sealed_secret_is_declared() -> None:
    """A secret that no collection declares could not be restored under another slug."""
    sealing = {name for name, source in sources() if re.search(r"sealer\.seal\(", source)}
    assert sealing == {
        "core/mail/mailer.py",
        "core/providers/providers.py",
        "core/storage/sealed_values.py",
        "services/auth/domain/keys.py",
        "services/inference/domain/guardrails/pii_policies.py",  # a vault that callers keep
        "services/tracing/domain/alerts/channels.py",
        "services/tracing/domain/monitoring/servers.py",
    }
    declared = {each.name for each in ALL if each.sealed}
    assert declared == {
        "jobs",
        "signing_keys",
        "providers",
        "vector_providers",
        "file_providers",
        "alert_rules",
        "inference_servers",
    }


SECRETS = Collection("rules", Level.PROJECT, sealed={"channels.*.sealed": "channel {id}"}, hidden=("secretHash",))


def test_secrets_are_sealed_for_another_slug() -> None:
    old, new = Sealer.from_settings(generate_key("old")), Sealer.from_settings(generate_key("new"))
    source, target = Project(Tenant("a"), "p"), Project(Tenant("b"), "p")
    channels = [{"id": "c1", "sealed": old.seal(source, "channel c1", b"secret")}, {"id": "c2"}]
    document = {"id": "r1", "channels": channels, "secretHash": "h"}
    assert key_ids(SECRETS, document) == {"old"}
    moved = resealed(SECRETS, document, old, source, new, target)
    assert new.open(target, "channel c1", moved["channels"][0]["sealed"]) == b"secret"
    assert document["channels"] == channels
    assert without_secrets(SECRETS, document) == {"id": "r1", "channels": [{"id": "c1"}, {"id": "c2"}]}


def test_a_kind_of_state_is_declared_once() -> None:
    class Kept:
        kind = "files"

    registry = TenantDataRegistry()
    registry.keep(Kept())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="twice"):
        registry.keep(Kept())  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        registry.of("vectors")


async def test_lines_do_not_depend_on_where_pieces_end() -> None:
    parts = given(("a", b"one\ntw"), ("a", b"o\n"), ("b", b"three\n"))
    assert [each async for each in lines_of(parts)] == [("a", b"one"), ("a", b"two"), ("b", b"three")]


@pytest.mark.parametrize("parts", [[("a", b"one\ntw")], [("a", b"tw"), ("b", b"three\n")]])
async def test_an_entry_that_is_cut_short_is_refused(parts: list[Chunk]) -> None:
    with pytest.raises(InvalidInput, match="cut short"):
        _ = [each async for each in lines_of(given(*parts))]


async def test_entries_have_their_own_content_whether_it_is_read_or_not() -> None:
    found = {}
    async for name, content in entries_of(given(("a", b"1"), ("a", b"2"), ("b", b""), ("c", b"3"), ("c", b"4"))):
        if name != "c":
            found[name] = b"".join([part async for part in content])
    assert found == {"a": b"12", "b": b""}


def test_a_large_content_is_split_and_an_empty_one_is_an_entry() -> None:
    assert [len(content) for _, content in chunks("a", b"x" * 600_000)] == [512 * 1024, 600_000 - 512 * 1024]
    assert list(chunks("a", b"")) == [("a", b"")]
