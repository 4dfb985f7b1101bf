"""The audit log: what is recorded, and how it is read."""

from portico.auth.v1 import audit_service_pb2 as audit
from portico.auth.v1 import project_service_pb2 as projects
from portico.auth.v1 import token_service_pb2 as tokens
from portico.auth.v1 import user_service_pb2 as users
from tests.support.auth_service import PASSWORD, AuthClient, Person
from tests.support.auth_world import refusal


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
