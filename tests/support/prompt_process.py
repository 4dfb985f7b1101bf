"""A process that changes a prompt without end, for tests that kill it: `python -m tests.support.prompt_process FOLDER`.

It makes the prompt if there is none. Then it makes a version, promotes it to prod, makes the first version current
again, and prints "<number> <template>" when all that has been acknowledged; and so on.
"""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

from core.errors import Conflict
from core.tenancy import Project, Tenant
from services.inference.domain.prompts.prompts import NewPrompt, PromptChanges, Prompts, Wanted
from tests.support.stores import sqlite_store

PROJECT = Project(Tenant("acme"), "p1")
KEY = "killed"


async def change(folder: Path) -> None:
    store = sqlite_store(folder)
    prompts = Prompts(store)
    with suppress(Conflict):  # it is there
        await prompts.create(PROJECT, NewPrompt("Killed", "text 1", key=KEY), by="me")
    first = (await prompts.resolve(PROJECT, KEY, Wanted(1)))[1]
    while True:
        made = (await prompts.update(PROJECT, KEY, PromptChanges(template=str(os.urandom(8))), by="me")).current
        await prompts.deploy(PROJECT, KEY, "promote", "prod", made.id, "", by="me")
        await prompts.set_current(PROJECT, KEY, first.id)
        print(made.number, made.template, flush=True)


if __name__ == "__main__":
    asyncio.run(change(Path(sys.argv[1])))
