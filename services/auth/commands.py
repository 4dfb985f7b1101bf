"""What operators do beside the running service, on the same store."""

import argparse
import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from core import config, logs
from core.config import ConfigError
from core.errors import PorticoError
from core.identity import KeyRing, Revocations
from core.rate_limits import RateLimits
from core.storage.factory import StoreSettings, make_store
from core.tenancy import Tenant
from services.auth.app import Domain, assemble
from services.auth.domain import inputs
from services.auth.domain.registration import NewCompany
from services.auth.settings import Settings


@dataclass(frozen=True)
class CommandSettings:
    """What the commands read."""

    store: StoreSettings
    auth: Settings


def run(arguments: argparse.Namespace, env: Mapping[str, str]) -> int:
    """The command's exit status: 0, 1 where it was refused, 2 where the configuration cannot be used."""
    try:
        settings = config.load(CommandSettings, env)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logs.configure("auth", "warning", "pretty")
    try:
        sys.stdout.write(asyncio.run(_run(_COMMANDS[arguments.command], arguments, settings)) + "\n")
    except PorticoError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


async def _run(command: "Command", arguments: argparse.Namespace, settings: CommandSettings) -> str:
    async with open_domain(settings) as domain:
        return await command(domain, arguments)


@asynccontextmanager
async def open_domain(settings: CommandSettings) -> AsyncIterator[Domain]:
    """The domain on the store that the settings name, beside whatever services run on it."""
    store = make_store(settings.store)
    try:
        yield await assemble(store, RateLimits(), settings.auth, keys=KeyRing(), revocations=Revocations())
    finally:
        await store.close()


async def _rotate_keys(domain: Domain, arguments: argparse.Namespace) -> str:
    return f"Key {await domain.keys.rotate()} signs now."


async def _create_tenant(domain: Domain, arguments: argparse.Namespace) -> str:
    given = sys.stdin.readline().rstrip("\r\n") if arguments.password_stdin else ""
    password = given or f"Aa1-{secrets.token_urlsafe(18)}"
    label = inputs.LABEL.check(arguments.token_label) if arguments.token_label else ""
    made = await domain.registration.register(
        NewCompany(
            email=arguments.email,
            password=password,
            name=arguments.name,
            company_name=arguments.company,
            slug=arguments.slug,
            must_change_password=not given,
        )
    )
    shown = {"tenant": made.company.slug, "projectId": made.project.id, "userId": made.owner.id}
    if not given:
        shown["password"] = password
    if label:
        tenant = Tenant(made.company.slug)
        _, shown["token"] = await domain.tokens.issue(tenant, made.owner, made.project.id, label, made.owner.scopes)
    return json.dumps(shown)


Command = Callable[[Domain, argparse.Namespace], Awaitable[str]]

_COMMANDS: Mapping[str, Command] = {"rotate-keys": _rotate_keys, "create-tenant": _create_tenant}
