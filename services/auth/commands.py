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

from core import config, logs
from core.audit.log import AuditLog
from core.collections import CORE_COLLECTIONS
from core.commands import Command
from core.errors import PorticoError
from core.rate_limits.memory import MemoryRateLimits
from core.revocations import Revocations
from core.storage.factory import StoreSettings, make_store
from core.storage.schema import Schema
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
    auth: Settings


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
async def open_domain(settings: CommandSettings) -> AsyncIterator[Domain]:
    """The domain on the store that the settings name, beside whatever services run on it."""
    store = make_store(settings.store, Schema((*CORE_COLLECTIONS, *COLLECTIONS)))
    audit_log = AuditLog(store, Tasks())
    try:
        yield await assemble(
            store, MemoryRateLimits(), settings.auth, audit_log=audit_log, keys=KeyRing(), revocations=Revocations()
        )
    finally:
        await store.close()


async def _rotate_keys(domain: Domain, arguments: argparse.Namespace) -> str:
    return f"Key {await domain.keys.rotate()} signs now."


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
    for key in domain.keys.published:
        made = datetime.fromtimestamp(key.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines.append(f"{key.id:<16}  {key.slot or 'retired':<8}  {made:<20}  {signed[key.id]}")
    return "\n".join(lines)


async def _withdraw_key(domain: Domain, arguments: argparse.Namespace) -> str:
    withdrawn = await domain.withdrawal.withdraw(arguments.key_id)
    for tenant, count in withdrawn.tokens.items():
        await domain.audit.record_operator(
            Tenant(tenant), "signing_key.withdraw", "signing_key", arguments.key_id, {"tokens": str(count)}
        )
    lost = sum(withdrawn.tokens.values())
    lines = [
        f"Key {arguments.key_id} is withdrawn, and key {withdrawn.signs_now} signs now.",
        "Every running service refuses what the withdrawn key signed within some 10 seconds.",
        "Whoever signed in with it has to sign in again.",
        f"API tokens that are lost and have to be made again: {lost}.",
    ]
    lines += [f"  {tenant}: {count}" for tenant, count in sorted(withdrawn.tokens.items())]
    return "\n".join(lines)


def _add_key_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key_id", metavar="KEY_ID", help="the key's id, as list-keys shows it")


def _add_tenant_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--company", required=True, help="the tenant's name, 1 to 200 characters")
    parser.add_argument("--email", required=True, help="the owner's email")
    parser.add_argument("--name", required=True, help="the owner's name")
    parser.add_argument("--slug", default="", help="the tenant's slug; without it, made from the tenant's name")
    parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    parser.add_argument("--token-label", default="", help="also make an API token of the owner with this label")


COMMANDS = (
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
        "create-tenant",
        "register a tenant, also where registration is closed",
        "Registers a tenant and prints, as one line of JSON, its owner and, where it made one, the password, which "
        "the owner has to change when signing in.",
        _command(_create_tenant),
        _add_tenant_arguments,
    ),
)
