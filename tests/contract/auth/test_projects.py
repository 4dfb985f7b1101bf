"""Projects: their life, their keys, and who sees them."""

import asyncio

import pytest

from portico.auth.v1 import project_service_pb2 as projects
from tests.support.auth_checks import C, refusal
from tests.support.auth_service import AuthClient, Person, Refused

pytestmark = pytest.mark.each_store


class TestProjects:
    async def test_life_of_a_project(self, auth: AuthClient, owner: Person) -> None:
        create = projects.CreateProjectRequest(name="The Lab", description="line\nline")
        made = (await auth.call(auth.projects.CreateProject, create, owner.token)).project
        assert (made.key, made.name, made.description, made.record_id) == ("the-lab", "The Lab", "line\nline", made.id)
        again = (await auth.call(auth.projects.CreateProject, create, owner.token)).project
        assert again.key == "the-lab-2"
        for reference in (made.id, "the-lab"):
            got = await auth.call(auth.projects.GetProject, projects.GetProjectRequest(id=reference), owner.token)
            assert got.project.id == made.id
        change = projects.UpdateProjectRequest(id="the-lab", name="Lab", description="")
        changed = (await auth.call(auth.projects.UpdateProject, change, owner.token)).project
        assert (changed.name, changed.description, changed.key) == ("Lab", "", "the-lab")
        await auth.call(auth.projects.DeleteProject, projects.DeleteProjectRequest(id=made.id), owner.token)
        gone = projects.GetProjectRequest(id=made.id)
        assert (await refusal(auth.call(auth.projects.GetProject, gone, owner.token))).code is C.NOT_FOUND

    async def test_a_key_is_taken_once(self, auth: AuthClient, owner: Person) -> None:
        request = projects.CreateProjectRequest(name="X", key="lab")
        outcomes = await asyncio.gather(
            *(auth.call(auth.projects.CreateProject, request, owner.token) for _ in range(5)), return_exceptions=True
        )
        assert [each.code for each in outcomes if isinstance(each, Refused)] == [C.ALREADY_EXISTS] * 4

    async def test_deleting_ends_the_tokens_and_sessions_in_it(self, auth: AuthClient, owner: Person) -> None:
        lab = await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        inside = await auth.api_token(owner.token, project_id="lab")
        session = await auth.login(owner.email, project_id="lab")
        await auth.call(auth.projects.DeleteProject, projects.DeleteProjectRequest(id=lab.project.id), owner.token)
        assert not await auth.works(inside.token)
        assert not await auth.works(session)
        assert await auth.works(owner.token)

    async def test_neither_the_last_nor_ones_own_is_deleted(self, auth: AuthClient, owner: Person) -> None:
        delete = projects.DeleteProjectRequest(id=owner.project)
        assert (
            await refusal(auth.call(auth.projects.DeleteProject, delete, owner.token))
        ).code is C.FAILED_PRECONDITION
        await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        assert (
            await refusal(auth.call(auth.projects.DeleteProject, delete, owner.token))
        ).code is C.FAILED_PRECONDITION

    async def test_users_see_their_own_projects_alone(self, auth: AuthClient, owner: Person) -> None:
        lab = await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        for role in ("user", "project_admin"):
            member = await auth.join(owner, f"{role.replace('_', '')}@example.com", role)
            listed = await auth.call(auth.projects.ListProjects, projects.ListProjectsRequest(), member.token)
            assert [each.id for each in listed.projects] == [owner.project]
            for reference in (lab.project.id, "lab", "nowhere"):
                got = auth.call(auth.projects.GetProject, projects.GetProjectRequest(id=reference), member.token)
                assert (await refusal(got)).code is C.NOT_FOUND
                assert (await refusal(auth.api_token(member.token, project_id=reference))).code is C.NOT_FOUND
        change = projects.UpdateProjectRequest(id="lab", name="Mine")
        assert (await refusal(auth.call(auth.projects.UpdateProject, change, member.token))).code is C.NOT_FOUND

    async def test_whoever_makes_a_project_is_in_it(self, auth: AuthClient, owner: Person) -> None:
        member = await auth.join(owner, "m@example.com", "project_admin", service_permissions={"projects": "admin"})
        made = await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), member.token)
        listed = await auth.call(auth.projects.ListProjects, projects.ListProjectsRequest(), member.token)
        assert made.project.id in [each.id for each in listed.projects]

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"name": ""}, "name"),
            ({"name": "x" * 201}, "name"),
            ({"name": "X", "key": "Not A Key"}, "key"),
            ({"name": "X", "key": "-x"}, "key"),
            ({"name": "X", "key": "x" * 49}, "key"),
            ({"name": "X", "description": "x" * 2001}, "description"),
            ({"name": "X", "description": "bell\x07"}, "description"),
        ],
    )
    async def test_refuses_what_cannot_be(
        self, auth: AuthClient, owner: Person, fields: dict[str, str], field: str
    ) -> None:
        request = projects.CreateProjectRequest(**fields)
        refused = await refusal(auth.call(auth.projects.CreateProject, request, owner.token))
        assert (refused.code, refused.field) == (C.INVALID_ARGUMENT, field)
