"""Data of earlier versions of the inference service."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.storage.migrations import NO_MIGRATIONS
from core.storage.ports import Document
from core.storage.sqlite import SqliteStore
from core.tenancy import AllProjects, Project, Tenant
from services.inference.domain.catalogue.migrations import MIGRATIONS
from services.inference.domain.catalogue.model_settings import ModelCapabilities, ModelSettings
from services.inference.domain.catalogue.models import Models
from services.inference.domain.tables import MODELS
from tests.support.migration_process import CHANGED
from tests.support.stores import schema_of

ROOT = Path(__file__).parents[3]
ACME = Tenant("acme")
P1, P2 = Project(ACME, "p1"), Project(ACME, "p2")
COUNT = 8


def model(number: int) -> Document:
    """As version 0.1 wrote it."""
    return {
        "id": f"mdl_{number}",
        "key": f"m{number}",
        "name": "M",
        "category": "llm",
        "providerKey": "echo",
        "modelId": "m",
        "description": "",
        "settings": {
            "request_defaults": {"max_tokens": number},
            "extra_body": {"$a.b": {"extra_body": 1.0}},
            "unsupported_params": ["top_p"],
            "disable_streaming_with_tools": True,
            "timeout": 30.0,
        },
        "pricing": {"currency": "USD", "input": 1.5, "output": 2.0, "cached": None},
        "capabilities": {
            "context_length": 8192,
            "max_output_tokens": 0,
            "supports_image_input": False,
            "supports_reasoning": True,
            "supports_structured_outputs": False,
            "supports_tool_calls": False,
        },
        "metadata": {"context_length": "mine"},
        "createdAt": 1000.0 + number,
        "updatedAt": 1000.0 + number,
    }


async def fill(folder: Path) -> None:
    old = SqliteStore(folder, schema_of("inference", NO_MIGRATIONS))
    await old.create_tenant(ACME)
    for project in (P1, P2):
        await old.insert_many(project, MODELS, [model(number) for number in range(COUNT)])
    await old.close()


async def spellings(store: Any) -> list[bool]:
    """Of each model, whether it is in camelCase."""
    found = await store.find(AllProjects(ACME), MODELS, page_size=100)
    return ["requestDefaults" in each["settings"] and "contextLength" in each["capabilities"] for each in found.items]


async def check(store: Any) -> None:
    models = Models(store, None)  # type: ignore[arg-type]  # no provider is asked
    for project in (P1, P2):
        for number in range(COUNT):
            read = await models.get(project, f"m{number}")
            assert read.settings == ModelSettings(
                {"max_tokens": number}, {"$a.b": {"extra_body": 1.0}}, ("top_p",), True, 30.0
            )
            assert read.capabilities == ModelCapabilities(context_length=8192, supports_reasoning=True)
            assert read.metadata == {"context_length": "mine"}
            assert read.pricing.cached is None


async def test_models_of_the_first_version_are_read_by_this_one(tmp_path: Path) -> None:
    await fill(tmp_path)
    store = SqliteStore(tmp_path, schema_of("inference"))
    await check(store)
    assert await spellings(store) == [True] * 2 * COUNT
    await store.close()


async def test_a_migration_that_is_killed_half_way_is_finished_by_the_next_process(tmp_path: Path) -> None:
    await fill(tmp_path)
    program = (sys.executable, "-m", "tests.support.migration_process", str(tmp_path), "0.5")
    process = await asyncio.create_subprocess_exec(*program, cwd=ROOT, stdout=PIPE, stdin=DEVNULL)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"half-way\n"
    finally:
        process.kill()
        await process.communicate()
    unchanged = SqliteStore(tmp_path, schema_of("inference", NO_MIGRATIONS))
    assert sum(await spellings(unchanged)) == CHANGED
    await unchanged.close()
    stores = [SqliteStore(tmp_path, schema_of("inference", replace(MIGRATIONS, lease_seconds=0.5))) for _ in range(3)]
    async with asyncio.timeout(60):
        await asyncio.gather(*(check(store) for store in stores))
    assert await spellings(stores[0]) == [True] * 2 * COUNT
    await asyncio.gather(*(store.close() for store in stores))
