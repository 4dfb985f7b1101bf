"""The audit log: what is recorded, and how it is read."""

from typing import Any

import grpc

from portico.auth.v1 import account_service_pb2 as accounts
from portico.auth.v1 import audit_service_pb2 as audit
from portico.auth.v1 import project_service_pb2 as projects
from portico.auth.v1 import token_service_pb2 as tokens
from portico.auth.v1 import user_service_pb2 as users
from tests.support.audit_walk import Step, Walk, check_complete, walk_is_denied, walk_succeeds
from tests.support.auth_checks import NEW_PASSWORD, refusal
from tests.support.auth_service import PASSWORD, AuthClient, Person
from tests.support.serving import connect

PACKAGE = "portico.auth.v1"

STEPS = [
    Step(
        "ProjectService/CreateProject",
        {"name": "Lab", "key": "lab"},
        lambda known: str(known.get("project")),
        denied_resource="lab",
        keep=lambda answer: {"project": answer.project.id},
    ),
    Step(
        "ProjectService/UpdateProject",
        {"id": "lab", "description": "new"},
        lambda known: str(known.get("project")),
        denied_resource="lab",
    ),
    Step(
        "ProjectService/DeleteProject",
        {"id": "lab"},
        lambda known: str(known.get("project")),
        denied_resource="lab",
    ),
    Step(
        "TokenService/CreateToken",
        {"label": "ci job"},
        lambda known: str(known.get("token")),
        denied_resource="",
        keep=lambda answer: {"token": answer.id},
    ),
    Step(
        "TokenService/DeleteToken",
        lambda known: {"id": known.get("token", "t")},
        lambda known: str(known.get("token")),
        denied_resource="t",
    ),
    Step(
        "UserService/InviteUser",
        {"email": "new@example.com"},
        lambda known: str(known.get("invitation")),
        denied_resource="",
        keep=lambda answer: {"invitation": answer.invitation.id},
    ),
    Step(
        "UserService/RevokeInvitation",
        lambda known: {"id": known.get("invitation", "i")},
        lambda known: str(known.get("invitation")),
        denied_resource="i",
    ),
    Step(
        "UserService/UpdateUser",
        lambda known: {"id": known.get("member", "u"), "name": "Newer"},
        lambda known: str(known.get("member")),
        denied_resource="u",
    ),
    Step(
        "QuotaService/CreateQuotaPolicy",
        {"scope": "project", "limits": {"quotas": {"max_files_total": 5}}, "label": "files"},
        lambda known: str(known.get("policy")),
        denied_resource="",
        keep=lambda answer: {"policy": answer.policy.id},
    ),
    Step(
        "QuotaService/UpdateQuotaPolicy",
        lambda known: {"id": known.get("policy", "q"), "enabled": False},
        lambda known: str(known.get("policy")),
        denied_resource="q",
    ),
    Step(
        "QuotaService/DeleteQuotaPolicy",
        lambda known: {"id": known.get("policy", "q")},
        lambda known: str(known.get("policy")),
        denied_resource="q",
    ),
    Step(
        "BudgetService/CreateBudget",
        {"daily_limit_usd": 5},
        lambda known: str(known.get("budget")),
        denied_resource="",
        keep=lambda answer: {"budget": answer.id},
    ),
    Step(
        "BudgetService/UpdateBudget",
        lambda known: {"id": known.get("budget", "q"), "daily_limit_usd": 6},
        lambda known: str(known.get("budget")),
        denied_resource="q",
    ),
    Step(
        "BudgetService/DeleteBudget",
        lambda known: {"id": known.get("budget", "q")},
        lambda known: str(known.get("budget")),
        denied_resource="q",
    ),
    Step(
        "UserService/DeleteUser",
        lambda known: {"id": known.get("member", "u")},
        lambda known: str(known.get("member")),
        denied_resource="u",
    ),
]
OF_ACCOUNTS = (
    "Register",
    "Login",
    "Logout",
    "SwitchProject",
    "ChangePassword",
    "AcceptInvitation",
    "ForgotPassword",
    "ResetPassword",
)


async def listed(auth: AuthClient, token: str, **wanted: Any) -> list[Any]:
    request = audit.ListAuditEntriesRequest(**wanted)
    return list((await auth.call(auth.audit.ListAuditEntries, request, token)).entries)


class TestAudit:
    async def test_changes_and_refused_sign_ins_are_recorded(self, auth: AuthClient, owner: Person) -> None:
        member = await auth.join(owner, "m@example.com")
        await refusal(auth.login(member.email, "Wrong-Horse-1"))
        made = await auth.api_token(member.token, label="ci job")
        await refusal(auth.api_token(member.token, scopes=["audit:read"]))
        await auth.call(auth.tokens.DeleteToken, tokens.DeleteTokenRequest(id=made.id), member.token)
        await auth.call(auth.users.DeleteUser, users.DeleteUserRequest(id=member.user), owner.token)
        entries = (await auth.call(auth.audit.ListAuditEntries, audit.ListAuditEntriesRequest(), owner.token)).entries
        assert [(each.action, each.outcome) for each in reversed(entries)] == [
            ("tenant.create", "success"),
            ("invitation.create", "success"),
            ("invitation.accept", "success"),
            ("account.login", "failure"),
            ("token.create", "success"),
            ("token.create", "denied"),
            ("token.delete", "success"),
            ("user.delete", "success"),
        ]
        created = entries[3]
        assert (created.actor_kind, created.actor_id, created.resource_id) == ("session", member.user, made.id)
        assert (created.project_id, created.metadata["label"]) == (owner.project, "ci job")
        assert PASSWORD not in str(entries)
        assert "Wrong-Horse-1" not in str(entries)
        assert made.token not in str(entries)

    async def test_it_names_request_and_address_and_filters(self, auth: AuthClient, owner: Person) -> None:
        request = tokens.CreateTokenRequest(label="one")
        sent = {"x_request_id": "req-1", "x_client_address": "192.0.2.7"}
        await auth.call(auth.tokens.CreateToken, request, owner.token, **sent)
        await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        wanted = audit.ListAuditEntriesRequest(action="token.create", actor_id=owner.user)
        (entry,) = (await auth.call(auth.audit.ListAuditEntries, wanted, owner.token)).entries
        assert (entry.request_id, entry.ip_address) == ("req-1", "192.0.2.7")
        nobody = audit.ListAuditEntriesRequest(actor_id="nobody")
        assert not (await auth.call(auth.audit.ListAuditEntries, nobody, owner.token)).entries

    async def test_every_rpc_that_changes_something_leaves_one_entry(self, auth: AuthClient, owner: Person) -> None:
        check_complete(PACKAGE, STEPS, *(f"/{PACKAGE}.AccountService/{name}" for name in OF_ACCOUNTS))
        member = await auth.join(owner, "m@example.com")
        poor = await auth.api_token(owner.token, scopes=["usage:read"])
        async with connect(auth.running.port) as channel:
            walk = Walk(auth.running, channel, PACKAGE)
            walk.known["member"] = member.user
            await walk_succeeds(walk, STEPS, owner.tenant, lambda: owner.token, owner.user, "session")
        other = await auth.register("globex")
        poor = await auth.api_token(other.token, scopes=["usage:read"])
        async with connect(auth.running.port) as channel:
            await walk_is_denied(Walk(auth.running, channel, PACKAGE), STEPS, "globex", lambda: poor.token, other.user)

    async def test_what_people_do_with_their_accounts_is_recorded(self, auth: AuthClient, owner: Person) -> None:
        await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab", key="lab"), owner.token)
        first = await auth.login(owner.email)
        switch = accounts.SwitchProjectRequest(project_id="lab")
        second = (await auth.call(auth.accounts.SwitchProject, switch, first)).session.token
        change = accounts.ChangePasswordRequest(current_password=PASSWORD, new_password=NEW_PASSWORD)
        third = (await auth.call(auth.accounts.ChangePassword, change, second)).session.token
        wrong = accounts.ChangePasswordRequest(current_password="Wrong-Horse-1", new_password=PASSWORD)
        for _ in range(2):
            await refusal(auth.call(auth.accounts.ChangePassword, wrong, third))
        await auth.call(auth.accounts.Logout, accounts.LogoutRequest(), third)
        fourth = await auth.login(owner.email, NEW_PASSWORD)
        entries = await listed(auth, fourth, resource_type="account")
        assert [(each.action, each.outcome, each.actor_id, each.reason) for each in reversed(entries)] == [
            ("account.login", "success", owner.user, ""),
            ("account.switch_project", "success", owner.user, ""),
            ("account.change_password", "success", owner.user, ""),
            ("account.change_password", "failure", owner.user, "WRONG_CREDENTIALS"),
            ("account.logout", "success", owner.user, ""),
            ("account.login", "success", owner.user, ""),
        ]
        assert {each.resource_id for each in entries} == {owner.user}
        assert not any(text in str(entries) for text in (PASSWORD, NEW_PASSWORD, "Wrong-Horse-1"))

    async def test_a_refused_sign_in_shows_in_every_tenant_that_it_may_have_meant(self, auth: AuthClient) -> None:
        one = await auth.register("acme", "same@example.com")
        other = await auth.register("globex", "same@example.com")
        for _ in range(3):
            await refusal(auth.login("same@example.com", "Wrong-Horse-1"))
        for person in (one, other):
            (entry,) = await listed(auth, person.token, action="account.login")
            assert (entry.outcome, entry.actor_kind, entry.actor_id) == ("failure", "anonymous", "")
            assert (entry.resource_id, entry.reason) == (person.user, "WRONG_CREDENTIALS")

    async def test_entries_are_found_by_what_they_say(self, auth: AuthClient, owner: Person) -> None:
        made = await auth.api_token(owner.token)
        poor = await auth.api_token(owner.token, scopes=["usage:read"])
        await refusal(auth.api_token(poor.token))
        for wanted in (
            {"resource_id": made.id},
            {"resource_type": "token", "outcome": "success", "actor_id": owner.user, "page_size": 1},
            {"action": "token.create", "outcome": "denied"},
        ):
            assert len(await listed(auth, owner.token, **wanted)) == 1, wanted
        assert not await listed(auth, owner.token, outcome="unknown")
        assert (await refusal(listed(auth, owner.token, outcome="maybe"))).field == "outcome"

    async def test_entries_are_found_by_their_time(self, auth: AuthClient, owner: Person) -> None:
        await auth.api_token(owner.token)
        (entry,) = await listed(auth, owner.token, action="token.create")
        at = entry.created_at
        for bounds, found in (({"from": at}, 1), ({"to": at}, 0), ({"from": at, "to": at}, 0)):
            assert len(await listed(auth, owner.token, action="token.create", **bounds)) == found, bounds

    async def test_a_token_of_one_project_sees_the_entries_of_that(self, auth: AuthClient, owner: Person) -> None:
        """It saw those of the whole tenant."""
        made = await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        scopes = ["audit:read", "tokens:write"]
        bound = await auth.api_token(owner.token, scopes=scopes, project_id=made.project.id)
        own = await auth.api_token(bound.token, label="of the lab", scopes=["tokens:write"])
        seen = await listed(auth, bound.token)
        assert [each.resource_id for each in seen] == [own.id]
        assert {each.project_id for each in seen} == {made.project.id}
        assert len(await listed(auth, bound.token, project_id=made.project.id)) == 1
        refused = await refusal(listed(auth, bound.token, project_id=owner.project))
        assert (refused.code, refused.field) == (grpc.StatusCode.NOT_FOUND, "projectId")
        assert len(await listed(auth, owner.token, project_id=made.project.id)) == 1
        assert len(await listed(auth, owner.token)) > 3

    async def test_lists_are_paged_newest_first(self, auth: AuthClient, owner: Person) -> None:
        for at in range(5):
            await auth.api_token(owner.token, label=f"token {at}")
        labels, token = [], ""
        while True:
            request = audit.ListAuditEntriesRequest(action="token.create", page_size=2, page_token=token)
            page = await auth.call(auth.audit.ListAuditEntries, request, owner.token)
            labels += [each.metadata["label"] for each in page.entries]
            if not (token := page.next_page_token):
                break
        assert labels == [f"token {at}" for at in reversed(range(5))]
