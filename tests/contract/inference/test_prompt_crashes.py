"""Processes that change one prompt at the same time and are killed: it is never half-written."""

import subprocess
import sys
from pathlib import Path

from core.tenancy import Tenant
from services.inference.domain.prompts.prompts import Prompts, Wanted
from services.inference.domain.prompts.records import Prompt
from services.inference.domain.prompts.tables import PROMPT_VERSIONS
from tests.support.prompt_process import KEY, PROJECT
from tests.support.stores import sqlite_store
from tools.supervisor import ROOT

WORKERS = 2


def killed(folder: Path, lines: int) -> dict[int, str]:
    """Acknowledged templates by number, of processes that were each killed after so many lines."""
    command = [sys.executable, "-m", "tests.support.prompt_process", str(folder)]
    started = [subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE) for _ in range(WORKERS)]
    acknowledged: dict[int, str] = {}
    for process in started:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        said += process.stdout.read().splitlines(keepends=True)
        process.stdout.close()
        process.wait()
        for line in said:
            if line.endswith("\n"):
                number, _, template = line.strip().partition(" ")
                assert int(number) not in acknowledged, "two versions of one number"
                acknowledged[int(number)] = template
    return acknowledged


async def check(prompts: Prompts, acknowledged: dict[int, str]) -> Prompt:
    """Check that what was acknowledged is there, and that what is there is whole."""
    prompt = await prompts.get(PROJECT, KEY)
    assert prompt.last_number >= max(acknowledged)
    for number in range(1, prompt.last_number + 1):
        _, version = await prompts.resolve(PROJECT, KEY, Wanted(number))
        assert version.number == number
        assert acknowledged.get(number, version.template) == version.template
    deployment, latest = prompt.deployments["prod"], prompt.history[0]
    assert deployment.active == latest.version
    for ref in (deployment.active, deployment.previous):
        assert ref is not None
        assert (await prompts.version(PROJECT, prompt, ref.id)).number == ref.number
    promoted = {event.version.number for event in prompt.history}
    assert len(prompt.history) == 100 or acknowledged.keys() <= promoted
    return prompt


async def test_a_prompt_is_whole_after_every_kill(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    await store.create_tenant(Tenant("acme"))
    prompts = Prompts(store)
    acknowledged: dict[int, str] = {}
    for lines in (2, 5, 11):
        more = killed(tmp_path, lines)
        assert not more.keys() & acknowledged.keys()
        acknowledged |= more
        prompt = await check(prompts, acknowledged)
    await prompts.delete(PROJECT, KEY)
    assert await store.count(PROJECT, PROMPT_VERSIONS, {"promptId": prompt.id}) == 0
    await store.close()
