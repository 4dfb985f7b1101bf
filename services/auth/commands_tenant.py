"""`python -m services.auth tenant ...`: commands on whole tenants, beside the running services."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core import config, logs, secret_files
from core.audit.records import FAILURE, SUCCESS, UNKNOWN
from core.commands import Command
from core.errors import FailedPrecondition, NotFound, PorticoError
from core.storage.factory import make_store
from core.tenancy import MAIN, Tenant
from services.auth.app import Domain
from services.auth.commands import domain_on, open_domain
from services.auth.domain.records import SUSPENDED, TenantRecord
from services.auth.operations import backup, erasure, export, move, restoring, suspension
from services.auth.operations.installation import (
    Installation,
    OperatorSettings,
    connected,
    open_store,
    schema_of,
)

Shown = dict[str, Any]
"""Result of a command, shown as JSON or as lines for people."""


@dataclass(frozen=True, slots=True)
class TenantCommand:
    """One of `tenant ...`. `with_services`: it needs all services to run."""

    name: str
    help: str
    run: Callable[[Any, argparse.Namespace], Awaitable[Shown]]
    lines: Callable[[Shown], str]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    with_services: bool = True
    recorded: bool = False
    """True if it is recorded in the operator's log, before it begins and as it ended."""


async def _list(domain: Domain, arguments: argparse.Namespace) -> Shown:
    tenants = [_shown(record) async for record in domain.tables.tenants.scan(MAIN)]
    return {"tenants": tenants}


async def _show(domain: Domain, arguments: argparse.Namespace) -> Shown:
    record = await domain.tables.tenants.get(MAIN, arguments.slug)
    if record is None:
        raise NotFound(f"There is no tenant {arguments.slug!r}. `tenant list` shows those that there are.")
    shown, tenant, tables = _shown(record), Tenant(record.slug), domain.tables
    try:
        owner = await tables.users.get(tenant, record.owner_id)
        shown["owner"] = "" if owner is None else owner.email
        for name, table in (("projects", tables.projects), ("users", tables.users), ("apiTokens", tables.tokens)):
            shown[name] = await table.count(tenant)
    except FailedPrecondition:  # it is being registered, restored or erased
        shown["documents"] = "none"
    return shown


async def _suspend(domain: Domain, arguments: argparse.Namespace) -> Shown:
    return _shown(await suspension.suspend(domain, arguments.slug))


async def _resume(domain: Domain, arguments: argparse.Namespace) -> Shown:
    return _shown(await suspension.resume(domain, arguments.slug))


async def _backup(installation: Installation, arguments: argparse.Namespace) -> Shown:
    made = await backup.backup(installation, arguments.slug, arguments.archive)
    return {**asdict(made), "path": str(made.path)}


async def _restore(installation: Installation, arguments: argparse.Namespace) -> Shown:
    if arguments.only:
        count = await restoring.restore_kind(installation, arguments.archive, arguments.only, arguments.slug)
        return {"restored": arguments.only, "entries": count}
    return _shown(await restoring.restore(installation, arguments.archive, arguments.slug))


async def _export(installation: Installation, arguments: argparse.Namespace) -> Shown:
    await export.export(installation, arguments.slug, arguments.archive)
    return {"path": str(arguments.archive)}


async def _erase(installation: Installation, arguments: argparse.Namespace) -> Shown:
    if arguments.confirm != arguments.slug:
        raise FailedPrecondition(
            f"This removes all of {arguments.slug} and cannot be undone. Add --confirm {arguments.slug}."
        )
    await erasure.erase(installation, arguments.slug, force=arguments.force)
    return {"erased": arguments.slug}


async def _move(installation: Installation, arguments: argparse.Namespace) -> Shown:
    settings = installation.settings
    if arguments.to == settings.store.provider:
        raise FailedPrecondition(f"The tenants are in {arguments.to} already: DB_PROVIDER says so.")
    tenants = [record async for record in installation.domain.tables.tenants.scan(MAIN, {"status": SUSPENDED})]
    slugs = [arguments.slug] if arguments.slug else [record.slug for record in tenants]
    store = make_store(replace(settings.store, provider=arguments.to), installation.schema)
    try:
        shared = await move.move_installation(installation, store)
        moved = [await move.move(installation, store, slug) for slug in slugs]
    finally:
        await store.close()
    return {"to": arguments.to, "installation": shared, "tenants": [asdict(each) for each in moved]}


def _shown(record: TenantRecord) -> Shown:
    created = datetime.fromtimestamp(record.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"tenant": record.slug, "status": record.status, "created": created, "name": record.company_name}


def _fields(shown: Shown) -> str:
    width = max(len(name) for name in shown)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in shown.items())


def _table(shown: Shown) -> str:
    row = "{tenant:<32}  {status:<10}  {created:<20}  {name}".format
    head = row(tenant="TENANT", status="STATUS", created="CREATED", name="NAME")
    return "\n".join([head, *(row(**each) for each in shown["tenants"])])


def _no_more(parser: argparse.ArgumentParser) -> None:
    """No further arguments."""


def _slug(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("slug", metavar="SLUG", help="the tenant's slug, as tenant list shows it")


def _slug_and_archive(parser: argparse.ArgumentParser) -> None:
    _slug(parser)
    parser.add_argument("archive", metavar="FILE", type=Path, help="the file to write; one that is there is replaced")


def _restore_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", metavar="FILE", type=Path, help="an archive that tenant backup wrote")
    parser.add_argument("--slug", default="", help="the slug to restore it under; without it, its own")
    parser.add_argument(
        "--only", default="", metavar="KIND", help="only this, as tracing/traces, into a tenant that is there"
    )


def _erase_arguments(parser: argparse.ArgumentParser) -> None:
    _slug(parser)
    parser.add_argument("--confirm", default="", metavar="SLUG", help="the slug once more: this cannot be undone")
    parser.add_argument(
        "--force", action="store_true", help="go on where a provider of the tenant's own refuses to remove something"
    )


def _move_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("slug", metavar="SLUG", nargs="?", default="", help="one tenant; else all suspended ones")
    parser.add_argument("--to", required=True, choices=("sqlite", "mongodb"), help="the store to copy documents to")


COMMANDS = (
    TenantCommand("list", "show all tenants", _list, _table, _no_more, with_services=False),
    TenantCommand("show", "show one tenant", _show, _fields, _slug, with_services=False),
    TenantCommand(
        "suspend",
        "refuse all tokens of a tenant within seconds and pause its jobs; its data stay",
        _suspend,
        _fields,
        _slug,
        with_services=False,
    ),
    TenantCommand("resume", "undo suspend", _resume, _fields, _slug, with_services=False),
    TenantCommand("backup", "write all of a running tenant to one archive", _backup, _fields, _slug_and_archive),
    TenantCommand(
        "restore", "restore a tenant from an archive of backup", _restore, _fields, _restore_arguments, recorded=True
    ),
    TenantCommand("export", "write a tenant's data without secrets, to be read", _export, _fields, _slug_and_archive),
    TenantCommand(
        "move", "copy suspended tenants to the other store, and compare", _move, _fields, _move_arguments, recorded=True
    ),
    TenantCommand(
        "erase", "remove all of a tenant, for good; repeat it if cut off", _erase, _fields, _erase_arguments,
        recorded=True,
    ),
)  # fmt: skip


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    subparsers = parser.add_subparsers(dest="action", title="actions", metavar="ACTION", required=True)
    for command in COMMANDS:
        own = subparsers.add_parser(command.name, help=command.help, description=f"{command.help.capitalize()}.")
        command.add_arguments(own)
        own.add_argument("--json", action="store_true", help="print the result as one line of JSON")
        own.add_argument("--quiet", action="store_true", help="tell of no progress")


def _run(arguments: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0: done; 1: refused or failed, with the reason on standard error."""
    command = next(each for each in COMMANDS if each.name == arguments.action)
    settings = config.load(OperatorSettings, env)
    secret_files.set_umask()
    logs.configure("auth", "warning", "pretty")
    try:
        shown = asyncio.run(_carry_out(command, arguments, settings))
    except PorticoError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    sys.stdout.write((json.dumps(shown) if arguments.json else command.lines(shown)) + "\n")
    return 0


async def _carry_out(command: TenantCommand, arguments: argparse.Namespace, settings: OperatorSettings) -> Shown:
    if not command.with_services:
        async with open_domain(settings) as domain:
            return await command.run(domain, arguments)
    async with connected(settings) as services:
        schema, collections = schema_of(services)
        store = open_store(settings, schema)
        try:
            domain = await domain_on(store, settings)
            installation = Installation(
                settings, store, schema, collections, services, domain, _silent if arguments.quiet else _say
            )
            return await _recorded(command, arguments, installation)
        finally:
            await store.close()


async def _recorded(command: TenantCommand, arguments: argparse.Namespace, installation: Installation) -> Shown:
    if not command.recorded:
        return await command.run(installation, arguments)
    log = installation.domain.operator_log
    resource = arguments.slug or str(getattr(arguments, "archive", "all"))
    entry = await log.record(f"tenant.{command.name}", "tenant", resource, outcome=UNKNOWN)
    try:
        shown = await command.run(installation, arguments)
    except PorticoError as error:
        await log.settle(entry, FAILURE, error.reason)
        raise
    await log.settle(entry, SUCCESS)
    return shown


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _silent(text: str) -> None:
    """Tell nothing."""


COMMAND = Command(
    "tenant",
    "list, suspend, resume, back up, restore, export, move or erase tenants",
    "Works on whole tenants beside the running services. docs/operations.md says more.",
    _run,
    _add_arguments,
)
