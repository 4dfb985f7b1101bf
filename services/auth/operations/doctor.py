"""Checks of a whole installation, each of which says what to do."""

import asyncio
import shutil
import stat
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http.client import HTTPException
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from core.errors import FailedPrecondition, PorticoError
from core.rpc.channel import open_channel
from core.sealing import SealBroken
from core.storage.ports import Collection, Cond, Document, DocumentStore, Level, Op, Order
from core.storage.scan import scan
from core.storage.sealed_values import sealed_values
from core.storage.tenant_registry import ERASING, RESTORING
from core.tenancy import MAIN, Project, Tenant
from services.auth.domain.keys import CURRENT, NEXT
from services.auth.domain.records import ACTIVE, PENDING, SUSPENDED, TenantRecord
from services.auth.domain.tables import Tables
from services.auth.operations.documents import documents_of
from services.auth.operations.documents import of_tenants as collections_of_tenants
from services.auth.operations.installation import OperatorSettings
from services.auth.operations.services import Service

_DAY = 86_400.0
_SECONDS = 5.0
_LEAST_FREE_BYTES = 1024**3
_LEAST_FREE_SHARE = 0.1
_CLOCK_SECONDS = 5.0
_OVERDUE_SECONDS = 3600.0
_STALE_SECONDS = 3600.0
_BY_DUE = Order("dueAt", descending=False)
_FOLDERS = ("files", "vectors")
"""Folders of the data folder with a folder for each tenant."""


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Examined:
    """The installation. Nothing of it is changed, not even keys that are missing."""

    settings: OperatorSettings
    store: DocumentStore
    collections: Sequence[Collection]
    services: Mapping[str, Service]
    tables: Tables


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check. `advice` says what to do, where it is not ok."""

    check: str
    status: Status
    detail: str
    advice: str = ""


def ok(check: str, detail: str) -> Finding:
    return Finding(check, Status.OK, detail)


def warning(check: str, detail: str, advice: str) -> Finding:
    return Finding(check, Status.WARNING, detail, advice)


def failure(check: str, detail: str, advice: str) -> Finding:
    return Finding(check, Status.FAILURE, detail, advice)


def of_settings(settings: OperatorSettings) -> list[Finding]:
    """Check settings that are valid, but better not so."""
    found = []
    if settings.rpc.edge_secret is None:
        found.append(
            warning(
                "settings",
                "PORTICO_EDGE_SECRET is not set",
                "Set it to the same value for the edge and all services, or client addresses are not known.",
            )
        )
    if settings.auth.insecure_cookies:
        found.append(
            warning(
                "settings",
                "PORTICO_INSECURE_COOKIES is on",
                "Turn it off wherever the edge is reached over TLS.",
            )
        )
    return found or [ok("settings", "valid")]


def of_disk(data_dir: Path) -> list[Finding]:
    """Check free space and permissions of the data folder."""
    try:
        usage, mode = shutil.disk_usage(data_dir), stat.S_IMODE(data_dir.stat().st_mode)
    except OSError as error:
        return [failure("disk", f"{data_dir}: {error.strerror}", "Set PORTICO_DATA_DIR to the services' folder.")]
    gib = usage.free / 1024**3
    found = [ok("disk", f"{gib:.1f} GiB free in {data_dir}")]
    if usage.free < _LEAST_FREE_BYTES or usage.free < _LEAST_FREE_SHARE * usage.total:
        found = [
            warning("disk", f"{gib:.1f} GiB free in {data_dir}", "Make room, or move the folder to a larger disk.")
        ]
    if mode & 0o077:
        found.append(
            failure("disk", f"{data_dir} has the mode {mode:04o}", f"Run `chmod 700 {data_dir}`: others can read it.")
        )
    return found


async def of_services(settings: OperatorSettings) -> list[Finding]:
    """Check that every service is reachable and ready."""
    found = []
    for name, address in settings.addresses().items():
        channel = open_channel(address)
        try:
            stub = health_pb2_grpc.HealthStub(channel)
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_SECONDS)
        except grpc.aio.AioRpcError as error:
            found.append(
                failure(
                    f"service {name}",
                    f"{address}: {error.code().name}",
                    f"Start it, or set PORTICO_{name.upper()}_ADDRESS. Its log says why it stopped.",
                )
            )
        else:
            ready = answer.status == health_pb2.HealthCheckResponse.SERVING
            advice = "One of its dependencies fails; `health changed` in its log names it."
            found.append(
                ok(f"service {name}", f"{address}: ready")
                if ready
                else failure(f"service {name}", f"{address}: not ready", advice)
            )
        finally:
            await channel.close()
    return found


def of_versions(examined: Examined) -> list[Finding]:
    """Check that all services run one version, and declare shared collections alike."""
    versions = {name: service.version for name, service in examined.services.items()}
    found = [ok("versions", f"all services run {next(iter(versions.values()), '?')}")]
    if len(set(versions.values())) > 1:
        told = ", ".join(f"{name} {version}" for name, version in versions.items())
        found = [warning("versions", told, "Finish the upgrade; do not erase or restore tenants until then.")]
    declared: dict[tuple[bool, str], Collection] = {}
    for service in examined.services.values():
        for each in service.collections:
            first = declared.setdefault((each.level is Level.MAIN, each.name), each)
            if first != each:
                found.append(
                    failure(
                        "schema",
                        f"{each.name} is declared in two ways, by {service.name} and another service",
                        "Bring all services to one version.",
                    )
                )
    return found


async def of_edge(url: str) -> list[Finding]:
    """Check the edge, and its clock against ours."""
    try:
        status, date = await asyncio.to_thread(_get, f"{url}/health/ready")
    except (OSError, HTTPException, ValueError) as error:
        return [failure("edge", f"{url}: {type(error).__name__}", "Start the edge, or set PORTICO_EDGE_URL.")]
    if status != 200:
        return [failure("edge", f"{url}/health/ready: {status}", "See which service above is not ready.")]
    found = [ok("edge", f"{url}: ready")]
    try:
        behind = abs(time.time() - parsedate_to_datetime(date).timestamp())
    except ValueError:
        return found
    if behind > _CLOCK_SECONDS:
        advice = "Synchronise the clocks (NTP): tokens and leases are compared by time."
        return [*found, failure("clock", f"the edge's clock differs by {behind:.0f} s", advice)]
    return [*found, ok("clock", "the edge's clock agrees")]


def _get(url: str) -> tuple[int, str]:
    """The status and the date of an answer. Raises OSError, HTTPException, ValueError."""
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310  # the operator's own edge
            return answer.status, answer.headers.get("Date", "")
    except urllib.error.HTTPError as refusal:
        return refusal.code, ""


async def of_signing_keys(examined: Examined) -> list[Finding]:
    slots = {key.slot: key async for key in examined.tables.signing_keys.scan(MAIN, {"slot": Cond(Op.NE, None)})}
    if CURRENT not in slots or NEXT not in slots:
        return [failure("signing keys", "there is no current or no next key", "Start the auth service; it makes them.")]
    current = slots[CURRENT]
    days = (time.time() - (current.activated_at or current.created_at)) / _DAY
    most = examined.settings.auth.key_max_age_seconds / _DAY
    if days > most:
        advice = "Auth rotates it by itself; see its log, or run `rotate-keys`."
        return [warning("signing keys", f"the current one signs for {days:.0f} days, longer than {most:.0f}", advice)]
    return [ok("signing keys", f"the current one signs for {days:.0f} days")]


async def of_tenants(examined: Examined) -> list[Finding]:
    """Check that every tenant has its documents, and that none is stuck on its way."""
    found, count = [], 0
    async for record in examined.tables.tenants.scan(MAIN):
        count += 1
        if (finding := await _of_tenant(examined, record)) is not None:
            found.append(finding)
    return found or [ok("tenants", f"{count}, each with its documents")]


async def _of_tenant(examined: Examined, record: TenantRecord) -> Finding | None:
    slug = record.slug
    if record.status in (RESTORING, ERASING):
        verb = "restore FILE" if record.status == RESTORING else f"erase {slug} --confirm {slug}"
        return warning("tenants", f"{slug} is {record.status}", f"Repeat `tenant {verb}`, which was cut off.")
    if record.status == PENDING:
        old = record.reserved_until < time.time() - _STALE_SECONDS
        return warning("tenants", f"{slug} was not registered to the end", "Register it again.") if old else None
    try:
        await examined.tables.projects.count(Tenant(slug))
    except FailedPrecondition:
        return failure("tenants", f"{slug} has no database", "Restore it from a backup, or erase it.")
    except PorticoError as error:
        return failure("tenants", f"{slug}: {error.message}", "See the log of the auth service.")
    return None


async def of_secrets(examined: Examined) -> list[Finding]:
    """Check that every sealed secret opens, and with which key."""
    sealer, found = examined.settings.auth.sealing.sealer(), []
    opened = outdated = 0
    async for tenant in _usable(examined):
        async for collection, document in _sealed(examined, tenant):
            scope = Project(tenant, document["project"]) if collection.level is Level.PROJECT else tenant
            for holder, name, record_id in sealed_values(collection, document):
                try:
                    sealer.open(scope, record_id, holder[name])
                except SealBroken as error:
                    where = f"{tenant.slug}: {collection.name} {document['id']}: {error.reason}"
                    advice = "Add its key to PORTICO_ENCRYPTION_KEYS, or have the tenant store the secret again."
                    found.append(failure("secrets", where, advice))
                else:
                    opened, outdated = opened + 1, outdated + sealer.needs_reseal(holder[name])
    if outdated:
        advice = "Run `rotate-credentials` of inference, rag, vector and tracing before the old key is removed."
        found.append(warning("secrets", f"{outdated} of {opened} are sealed with an older key", advice))
    return found or [ok("secrets", f"{opened}, all sealed with the first key")]


async def of_work(examined: Examined) -> list[Finding]:
    """Check for jobs that should have begun long ago."""
    by_name = {collection.name: collection for collection in examined.collections}
    suspended = {each.slug async for each in examined.tables.tenants.scan(MAIN, {"status": SUSPENDED})}
    overdue: Counter[str] = Counter()
    where = {"dueAt": Cond(Op.LT, time.time() - _OVERDUE_SECONDS)}
    async for entry in scan(examined.store, MAIN, by_name["job_index"], where, order=_BY_DUE):
        if entry["tenant"] not in suspended:
            overdue[entry["kind"]] += 1
    return [
        warning("jobs", f"{count} of {kind} are due for more than an hour", "See the log of the service of that name.")
        for kind, count in sorted(overdue.items())
    ] or [ok("jobs", "none is overdue")]


async def of_orphans(examined: Examined) -> list[Finding]:
    """Check for what lies in the data folder and belongs to no tenant."""
    slugs = {record.slug async for record in examined.tables.tenants.scan(MAIN)}
    return orphans(examined.settings.store.data_dir, slugs)


def orphans(data_dir: Path, slugs: set[str]) -> list[Finding]:
    """Databases, folders and snapshots of tenants that the registry does not have."""
    if not data_dir.is_dir():
        return [ok("orphans", "no data folder here")]
    found = [
        warning("orphans", path.name, "No tenant has this database. Move it away, and keep it a while.")
        for path in sorted(data_dir.glob("tenant_*.sqlite"))
        if path.name.removeprefix("tenant_").split(".")[0] not in slugs
    ]
    for folder in (data_dir / name for name in _FOLDERS):
        found += [
            warning("orphans", f"{folder.name}/{path.name}", "No tenant has this folder. Move it away.")
            for path in (sorted(folder.iterdir()) if folder.is_dir() else ())
            if path.is_dir() and path.name not in slugs
        ]
    found += [
        warning("orphans", path.name, "A backup was killed here. Remove the folder.")
        for path in sorted(data_dir.glob(".snapshot-*"))
        if time.time() - path.stat().st_mtime > _STALE_SECONDS
    ]
    return found or [ok("orphans", "none")]


async def _usable(examined: Examined) -> AsyncGenerator[Tenant, None]:
    where = {"status": Cond(Op.IN, (ACTIVE, SUSPENDED))}
    async for record in examined.tables.tenants.scan(MAIN, where):
        yield Tenant(record.slug)


async def _sealed(examined: Examined, tenant: Tenant) -> AsyncGenerator[tuple[Collection, Document], None]:
    """The documents of a tenant that may hold secrets; none where its database is not there."""
    for collection in collections_of_tenants(examined.collections):
        if collection.sealed:
            with suppress(FailedPrecondition):
                async for document in documents_of(examined.store, tenant, collection):
                    yield collection, document
