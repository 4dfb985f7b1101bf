"""Calls of prompts that several tests make, on the prompt `hello` of one project."""

from core.tenancy import Project, Tenant
from services.inference.domain.prompts.prompts import NewPrompt, PromptChanges, Prompts, Wanted
from services.inference.domain.prompts.records import Prompt

PROJECT = Project(Tenant("acme"), "p1")
NEW = NewPrompt(name="Greeting", template="Hello {{name}}", key="hello")


async def with_versions(prompts: Prompts, count: int) -> Prompt:
    prompt = await prompts.create(PROJECT, NEW, by="me")
    for number in range(2, count + 1):
        prompt = await prompts.update(PROJECT, "hello", PromptChanges(template=f"v{number}"), by="me")
    return prompt


async def numbers(prompts: Prompts, size: int = 0, token: str = "") -> list[int]:
    return [each.number for each in (await prompts.versions(PROJECT, "hello", size=size, token=token))[1]]


async def text(prompts: Prompts, number: int | None = None, environment: str = "", project: Project = PROJECT) -> str:
    return (await prompts.render(project, "hello", Wanted(number, environment), {"name": "Ada"})).text


async def deploy(prompts: Prompts, action: str, version_id: str = "", environment: str = "prod") -> Prompt:
    return await prompts.deploy(PROJECT, "hello", action, environment, version_id, "", by="me")
