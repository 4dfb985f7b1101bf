"""Commands that operators run beside the running service, on the same store."""

import argparse
import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from core import config, logs
from core.audit.log import AuditLog
from core.collections import CORE_COLLECTIONS
from core.commands import Command
from core.errors import InvalidInput, PorticoError
from core.quotas.limits import shown
from core.quotas.plans import PlanSettings
from core.quotas.source import FRESH_SECONDS, PolicySource
from core.rate_limits.memory import MemoryRateLimits
from core.revocations import Revocations
from core.storage.factory import StoreSettings, make_store
from core.storage.ports import DocumentStore
from core.storage.schema import Schema
from core.storage.table import to_document
from core.tasks import Tasks
from core.tenancy import Tenant
from core.token_verifier import KeyRing
from services.auth.app import Domain, assemble
from services.auth.domain import inputs
from services.auth.domain.registration import NewTenant
from services.auth.domain.tables import COLLECTIONS
from services.auth.settings import Settings


@dataclass(frozen=True)
class CommandSettings:
    """The settings that the commands read."""

    store: StoreSettings
    plans: PlanSettings
    auth: Settings


class DomainSettings(Protocol):
    """Settings of the domain, among others."""

    @property
    def store(self) -> StoreSettings: ...

    @property
    def plans(self) -> PlanSettings: ...

    @property
    def auth(self) -> Settings: ...


Work = Callable[[Domain, argparse.Namespace], Awaitable[str]]


def _command(work: Work) -> Callable[[argparse.Namespace, Mapping[str, str]], int]:
    def run(arguments: argparse.Namespace, env: Mapping[str, str]) -> int:
        """Run a command. Returns its exit status: 0, or 1 where it was refused."""
        settings = config.load(CommandSettings, env)
        logs.configure("auth", "warning", "pretty")
        try:
            sys.stdout.write(asyncio.run(_run(work, arguments, settings)) + "\n")
        except PorticoError as error:
            sys.stderr.write(f"{error.message}\n")
            return 1
        return 0

    return run


async def _run(work: Work, arguments: argparse.Namespace, settings: CommandSettings) -> str:
    async with open_domain(settings) as domain:
        return await work(domain, arguments)


@asynccontextmanager
async def open_domain(settings: DomainSettings) -> AsyncIterator[Domain]:
    """The domain on the store that the settings name, beside whatever services run on it."""
    store = make_store(settings.store, Schema((*CORE_COLLECTIONS, *COLLECTIONS)))
    try:
        yield await domain_on(store, settings)
    finally:
        await store.close()


async def domain_on(store: DocumentStore, settings: DomainSettings) -> Domain:
    """The domain on a store that has auth's collections, and perhaps others."""
    audit_log = AuditLog(store, Tasks())
    return await assemble(
        store,
        MemoryRateLimits(),
        settings.auth,
        audit_log=audit_log,
        keys=KeyRing(),
        revocations=Revocations(),
        source=PolicySource(store, settings.plans.plans()),
    )


async def _rotate_keys(domain: Domain, arguments: argparse.Namespace) -> str:
    before = domain.keys.signer.key_id
    signs_now = await domain.keys.rotate()
    await domain.operator_log.record("signing_key.rotate", "signing_key", signs_now, {"retired": before})
    return f"Key {signs_now} signs now."


async def _operator_log(domain: Domain, arguments: argparse.Namespace) -> str:
    entries = await domain.operator_log.latest(arguments.count)
    if arguments.json:
        return "\n".join(json.dumps(to_document(entry)) for entry in entries)
    row = "{:<20}  {:<20}  {:<8}  {}".format
    return "\n".join(
        [row("TIME", "ACTION", "OUTCOME", "RESOURCE")]
        + [row(_time(each.created_at), each.action, each.outcome, each.resource_id) for each in entries]
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _create_tenant(domain: Domain, arguments: argparse.Namespace) -> str:
    given = sys.stdin.readline().rstrip("\r\n") if arguments.password_stdin else ""
    password = given or f"Aa1-{secrets.token_urlsafe(18)}"
    label = inputs.LABEL.check(arguments.token_label) if arguments.token_label else ""
    made = await domain.registration.register(
        NewTenant(
            email=arguments.email,
            password=password,
            name=arguments.name,
            company_name=arguments.company,
            slug=arguments.slug,
            must_change_password=not given,
        )
    )
    tenant = Tenant(made.tenant.slug)
    await domain.audit.record_operator(tenant, "tenant.create", "tenant", tenant.slug)
    shown = {"tenant": tenant.slug, "projectId": made.project.id, "userId": made.owner.id}
    if not given:
        shown["password"] = password
    if label:
        owner = made.owner
        token, shown["token"] = await domain.tokens.issue(tenant, owner, made.project.id, label, owner.scopes)
        await domain.audit.record_operator(tenant, "token.create", "token", token.id)
    return json.dumps(shown)


async def _list_keys(domain: Domain, arguments: argparse.Namespace) -> str:
    signed = await domain.withdrawal.signed()
    lines = [f"{'KEY':<16}  {'STATE':<8}  {'MADE':<20}  API TOKENS"]
    lines += [
        f"{key.id:<16}  {key.slot or 'retired':<8}  {_time(key.created_at):<20}  {signed[key.id]}"
        for key in domain.keys.published
    ]
    return "\n".join(lines)


async def _withdraw_key(domain: Domain, arguments: argparse.Namespace) -> str:
    withdrawn = await domain.withdrawal.withdraw(arguments.key_id)
    for tenant, count in withdrawn.tokens.items():
        await domain.audit.record_operator(
            Tenant(tenant), "signing_key.withdraw", "signing_key", arguments.key_id, {"tokens": str(count)}
        )
    lost = sum(withdrawn.tokens.values())
    await domain.operator_log.record("signing_key.withdraw", "signing_key", arguments.key_id, {"tokens": str(lost)})
    lines = [
        f"Key {arguments.key_id} is withdrawn, and key {withdrawn.signs_now} signs now.",
        "Every running service refuses what the withdrawn key signed within some 10 seconds.",
        "Whoever signed in with it has to sign in again.",
        f"API tokens that are lost and have to be made again: {lost}.",
    ]
    lines += [f"  {tenant}: {count}" for tenant, count in sorted(withdrawn.tokens.items())]
    return "\n".join(lines)


async def _set_plan(domain: Domain, arguments: argparse.Namespace) -> str:
    plans = domain.source.plans
    plan = plans.get(arguments.plan)
    if plan is None:
        names = ", ".join(sorted(each.name for each in plans))
        raise InvalidInput(f"There is no plan of this name. Plans are {names}.")
    changed = await domain.tenants.set_plan(arguments.tenant, plan.name)
    tenant = Tenant(changed.slug)
    await domain.audit.record_operator(tenant, "tenant.set_plan", "tenant", tenant.slug, {"plan": plan.name})
    lines = [f"Tenant {tenant.slug} has the plan {plan.name}, which holds within {FRESH_SECONDS:g} seconds."]
    if plan.features is None:
        lines.append("API tokens that were made under a plan with fewer features keep to those: make them anew.")
    return "\n".join(lines)


async def _list_plans(domain: Domain, arguments: argparse.Namespace) -> str:
    lines = [f"{'PLAN':<16}  {'FEATURES':<8}  LIMITS"]
    for plan in domain.source.plans:
        features = "all" if plan.features is None else str(len(plan.features))
        limits = " ".join(f"{path}={shown(path, limit):g}" for path, limit in plan.limits.items()) or "none"
        lines.append(f"{plan.name:<16}  {features:<8}  {limits}")
    return "\n".join(lines)


def _add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tenant", metavar="TENANT", help="the tenant's slug")
    parser.add_argument("plan", metavar="PLAN", help="the plan's name, as list-plans shows it")


def _add_key_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key_id", metavar="KEY_ID", help="the key's id, as list-keys shows it")


def _add_tenant_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--company", required=True, help="the tenant's name, 1 to 200 characters")
    parser.add_argument("--email", required=True, help="the owner's email")
    parser.add_argument("--name", required=True, help="the owner's name")
    parser.add_argument("--slug", default="", help="the tenant's slug; without it, made from the tenant's name")
    parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    parser.add_argument("--token-label", default="", help="also make an API token of the owner with this label")


def _add_log_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--count", type=int, default=50, choices=range(1, 1001), metavar="N", help="1 to 1000; 50")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each entry")


COMMANDS = (
    Command(
        "operator-log",
        "show the latest commands that concerned the whole installation",
        "Shows commands that concerned the whole installation, or a tenant as a whole, newest first.",
        _command(_operator_log),
        _add_log_arguments,
    ),
    Command(
        "rotate-keys",
        "let the next signing key take over; running services notice within seconds",
        "Lets the next signing key take over. Tokens that the old one signed stay good.",
        _command(_rotate_keys),
    ),
    Command(
        "list-keys",
        "show the signing keys and how many API tokens each has signed",
        "Shows the signing keys, the current one first, and how many API tokens each has signed.",
        _command(_list_keys),
    ),
    Command(
        "withdraw-key",
        "withdraw a stolen signing key: whatever it signed is refused within seconds",
        "Withdraws a signing key that was stolen. It disappears from the published keys, and every token that it "
        "signed is refused within some 10 seconds: people sign in again, and API tokens have to be made again. API "
        "tokens that were made with one of those are revoked too. The next key takes the place of the current one at "
        "once, however new it is: the edge may refuse its tokens for half a minute. Running it again does no harm. To "
        "replace a key that was not stolen, use rotate-keys, which logs nobody out.",
        _command(_withdraw_key),
        _add_key_argument,
    ),
    Command(
        "list-plans",
        "show the plans that a tenant can have",
        "Shows the plans that a tenant can have, with their limits: the built-in ones and those of PORTICO_PLANS_FILE.",
        _command(_list_plans),
    ),
    Command(
        "set-plan",
        "give a tenant another plan",
        "Gives a tenant another plan. Its features and limits hold for all calls within seconds, also for those with "
        "tokens that were made before.",
        _command(_set_plan),
        _add_plan_arguments,
    ),
    Command(
        "create-tenant",
        "register a tenant, also where registration is closed",
        "Registers a tenant and prints, as one line of JSON, its owner and, where it made one, the password, which "
        "the owner has to change when signing in.",
        _command(_create_tenant),
        _add_tenant_arguments,
    ),
)
