"""`python -m services.auth doctor`: checks a whole installation."""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from core import config, logs
from core.commands import Command
from core.errors import PorticoError
from services.auth.domain.tables import Tables
from services.auth.operations import doctor
from services.auth.operations.doctor import Examined, Finding, Status
from services.auth.operations.installation import OperatorSettings, connected, open_store, schema_of
from services.auth.operations.services import Service


def _run(arguments: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0: nothing fails, though there may be warnings; 1: something fails."""
    settings = config.load(OperatorSettings, env)
    logs.configure("auth", "error", "pretty")
    findings = asyncio.run(_findings(settings))
    if arguments.json:
        sys.stdout.write(json.dumps([asdict(each) for each in findings]) + "\n")
    else:
        sys.stdout.write(_table(findings))
    return int(any(each.status is Status.FAILURE for each in findings))


async def _findings(settings: OperatorSettings) -> list[Finding]:
    found = [*doctor.of_settings(settings), *doctor.of_disk(settings.store.data_dir)]
    found += await doctor.of_services(settings)
    found += await doctor.of_edge(settings.commands.edge_url)
    try:
        async with connected(settings) as services:
            found += await _of_store(settings, services)
    except PorticoError as error:
        found.append(doctor.failure("store", error.message, "Start the services first: they say what the store holds."))
    return found


async def _of_store(settings: OperatorSettings, services: Mapping[str, Service]) -> list[Finding]:
    schema, collections = schema_of(services)
    store = open_store(settings, schema)
    found: list[Finding] = []
    try:
        examined = Examined(settings, store, collections, services, Tables.of(store))
        found += doctor.of_versions(examined)
        for check in (
            doctor.of_signing_keys,
            doctor.of_tenants,
            doctor.of_secrets,
            doctor.of_work,
            doctor.of_orphans,
        ):
            found += await check(examined)
    except PorticoError as error:
        advice = "See DB_PROVIDER, MONGODB_URL and PORTICO_DATA_DIR, and whether the store runs."
        found.append(doctor.failure("store", error.message, advice))
    else:
        found.append(doctor.ok("store", f"{settings.store.provider}: readable"))
    finally:
        await store.close()
    return found


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the findings as one line of JSON")


def _table(findings: Sequence[Finding]) -> str:
    lines = [f"{'CHECK':<18} {'STATUS':<8} DETAIL"]
    for each in findings:
        lines.append(f"{each.check:<18} {each.status:<8} {each.detail}")
        if each.advice:
            lines.append(f"{'':<27} -> {each.advice}")
    return "\n".join(lines) + "\n"


COMMAND = Command(
    "doctor",
    "check a whole installation and say what to do",
    "Checks settings, disk, services, edge, clocks, store, schema, keys, tenants, sealed secrets, jobs and what "
    "belongs to no tenant. It changes nothing. Exit status 0: nothing fails, though there may be warnings; 1: "
    "something does.",
    _run,
    _add_arguments,
)
