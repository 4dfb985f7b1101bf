"""Interface for other services: revocations, service tokens, and the keys that verify."""

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from jwt import PyJWKSet

from core import config
from core.app import load, start
from core.context import Kind
from core.revocations import Revocations
from core.rpc.headers import SERVICE_SECRET
from core.token_verifier import KeyRing, TokenVerifier
from portico.auth.v1 import account_service_pb2 as accounts
from portico.auth.v1 import key_service_pb2 as keys
from portico.auth.v1 import project_service_pb2 as projects
from portico.auth.v1 import token_service_pb2 as tokens
from portico.auth.v1 import trust_service_pb2 as trust
from portico.auth.v1 import user_service_pb2 as users
from services.auth.commands import CommandSettings, open_domain
from services.inference.app import build as build_inference
from services.inference.settings import Settings as InferenceSettings
from tests.support.auth_checks import NEW_PASSWORD, C, identity_of, refusal
from tests.support.auth_service import PASSWORD, SECRET, AuthClient, Person, auth_service, environment
from tests.support.removal import hurry, removed
from tests.support.stores import schema_of


async def read(stream: Any) -> Any:
    async with asyncio.timeout(5):
        return await stream.read()


class TestTrust:
    async def test_a_watcher_learns_all_and_then_each_new_revocation(self, auth: AuthClient, owner: Person) -> None:
        early, late = await auth.api_token(owner.token), await auth.api_token(owner.token)
        await auth.call(auth.tokens.DeleteToken, tokens.DeleteTokenRequest(id=early.id), owner.token)
        stream = auth.watch(trust.WatchRevocationsRequest(service="test"))
        first = await read(stream)
        assert first.snapshot
        assert [(each.tenant, each.token_id) for each in first.revocations] == [("acme", early.id)]
        await auth.call(auth.tokens.DeleteToken, tokens.DeleteTokenRequest(id=late.id), owner.token)
        async with asyncio.timeout(1):
            second = await stream.read()
        assert not second.snapshot
        assert [each.token_id for each in second.revocations] == [late.id]
        stream.cancel()

    async def test_a_subject_revocation_carries_its_time(self, auth: AuthClient, owner: Person) -> None:
        stream = auth.watch(trust.WatchRevocationsRequest(service="test"))
        await read(stream)
        request = accounts.ChangePasswordRequest(current_password=PASSWORD, new_password=NEW_PASSWORD)
        changed = await auth.call(auth.accounts.ChangePassword, request, owner.token)
        (revocation,) = (await read(stream)).revocations
        assert (revocation.tenant, revocation.subject) == ("acme", owner.user)
        assert identity_of(auth, changed.session.token).issued_at >= revocation.issued_before
        assert revocation.expires_at > revocation.issued_before
        stream.cancel()

    async def test_a_quiet_stream_shows_that_it_is_alive(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data", PORTICO_AUTH_HEARTBEAT_SECONDS="0.05") as client:
            stream = client.watch(trust.WatchRevocationsRequest(service="test"))
            assert (await read(stream)).snapshot
            sign = await read(stream)
            assert not sign.snapshot
            assert not sign.revocations
            stream.cancel()

    async def test_watchers_do_not_hold_up_the_stop(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data", PORTICO_GRACE_SECONDS="60") as client:
            stream = client.watch(trust.WatchRevocationsRequest(service="test"))
            await read(stream)
            async with asyncio.timeout(10):
                await client.running.platform.lifecycle.stop()

    async def test_replicas_share_revocations_and_keys(self, tmp_path: Path) -> None:
        folder = tmp_path / "data"
        quick = {"PORTICO_AUTH_REVOCATION_POLL_SECONDS": "0.05", "PORTICO_AUTH_KEY_POLL_SECONDS": "0.05"}
        async with auth_service(folder, **quick) as one, auth_service(folder, **quick) as two:
            owner = await one.register("acme")
            assert await two.works(owner.token)
            stream = two.watch(trust.WatchRevocationsRequest(service="test"))
            await read(stream)
            await one.call(one.accounts.Logout, accounts.LogoutRequest(), owner.token)
            assert len((await read(stream)).revocations) == 1
            assert not await two.works(owner.token)
            stream.cancel()

    async def test_revocations_outlive_a_restart(self, tmp_path: Path) -> None:
        async with auth_service(tmp_path / "data") as client:
            owner = await client.register("acme")
            other = await client.login(owner.email)
            await client.call(client.accounts.Logout, accounts.LogoutRequest(), owner.token)
        async with auth_service(tmp_path / "data") as client:
            assert not await client.works(owner.token)
            assert await client.works(other)

    async def test_a_service_token_is_short_and_bound(self, auth: AuthClient, owner: Person) -> None:
        request = trust.MintServiceTokenRequest(
            service="rag", tenant="acme", project=owner.project, scopes=["inference:write"]
        )
        made = await auth.call(auth.trust.MintServiceToken, request, **{SERVICE_SECRET: SECRET})
        identity = identity_of(auth, made.token)
        assert (identity.kind, identity.subject, identity.scopes) == (
            Kind.SERVICE,
            "rag",
            frozenset({"inference:write"}),
        )
        assert identity.project.id == owner.project
        assert identity.expires_at == made.expires_at
        assert made.expires_at - identity.issued_at <= 300

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"tenant": "nowhere"}, C.NOT_FOUND),
            ({"project": "nope"}, C.NOT_FOUND),
            ({"scopes": []}, C.INVALID_ARGUMENT),
            ({"scopes": ["x:y"]}, C.INVALID_ARGUMENT),
            ({"service": ""}, C.INVALID_ARGUMENT),
        ],
    )
    async def test_a_service_token_for_nothing_is_refused(
        self, auth: AuthClient, owner: Person, fields: dict[str, Any], code: grpc.StatusCode
    ) -> None:
        good = {"service": "rag", "tenant": "acme", "project": owner.project, "scopes": ["inference:write"]}
        request = trust.MintServiceTokenRequest(**{**good, **fields})
        refused = await refusal(auth.call(auth.trust.MintServiceToken, request, **{SERVICE_SECRET: SECRET}))
        assert refused.code is code

    async def test_services_make_no_tokens_and_change_no_people(self, auth: AuthClient, owner: Person) -> None:
        request = trust.MintServiceTokenRequest(service="rag", tenant="acme", project=owner.project, scopes=["*"])
        token = (await auth.call(auth.trust.MintServiceToken, request, **{SERVICE_SECRET: SECRET})).token
        assert (await refusal(auth.api_token(token))).code is C.PERMISSION_DENIED
        change = users.UpdateUserRequest(id=owner.user, name="x")
        assert (await refusal(auth.call(auth.users.UpdateUser, change, token))).code is C.PERMISSION_DENIED
        listed = await auth.call(auth.projects.ListProjects, projects.ListProjectsRequest(), token)
        assert [each.id for each in listed.projects] == [owner.project]


class TestKeys:
    async def test_the_key_set_verifies_tokens_elsewhere(self, auth: AuthClient, owner: Person) -> None:
        answer = await auth.call(auth.keys.GetJwks, keys.GetJwksRequest())
        assert len(answer.keys) == 2
        fields = ("kty", "crv", "x", "y", "kid", "alg", "use")
        document = {"keys": [{name: getattr(key, name) for name in fields} for key in answer.keys]}
        ring, revocations = KeyRing(), Revocations()
        ring.replace({key.key_id: key.key for key in PyJWKSet.from_json(json.dumps(document)).keys if key.key_id})
        revocations.replace([])
        assert TokenVerifier(ring, revocations).verify(owner.token).subject == owner.user

    async def test_rotation_logs_nobody_out_and_running_services_notice(self, tmp_path: Path) -> None:
        quick = {"PORTICO_AUTH_KEY_POLL_SECONDS": "0.05", "PORTICO_AUTH_KEY_PUBLISH_SECONDS": "0"}
        async with auth_service(tmp_path / "data", **quick) as one, auth_service(tmp_path / "data", **quick) as two:
            owner = await one.register("acme")
            before = [key.kid for key in (await two.call(two.keys.GetJwks, keys.GetJwksRequest())).keys]
            env = {**environment(tmp_path / "data"), **quick}
            async with open_domain(config.load(CommandSettings, env)) as domain:
                current = await domain.keys.rotate()
            assert current == before[1]
            async with asyncio.timeout(5):
                while (await two.call(two.keys.GetJwks, keys.GetJwksRequest())).keys[0].kid != current:
                    await asyncio.sleep(0.02)
            after = [key.kid for key in (await two.call(two.keys.GetJwks, keys.GetJwksRequest())).keys]
            assert set(before) < set(after)
            fresh = await two.login(owner.email)
            for client in (one, two):
                assert await client.works(owner.token)
                assert await client.works(fresh)


class TestDeletedProjects:
    async def listed(self, auth: AuthClient, service: str) -> list[Any]:
        request = trust.ListDeletedProjectsRequest(service=service)
        return list(
            (await auth.call(auth.trust.ListDeletedProjects, request, x_portico_service_secret=SECRET)).projects
        )

    async def test_each_service_hears_of_a_deleted_project_until_it_acknowledges(
        self, auth: AuthClient, owner: Person
    ) -> None:
        """No service heard of it at all."""
        made = await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        assert await self.listed(auth, "rag") == []
        deletion = projects.DeleteProjectRequest(id=made.project.id)
        await auth.call(auth.projects.DeleteProject, deletion, owner.token, x_request_id="req-7")
        (deleted,) = await self.listed(auth, "rag")
        assert (deleted.tenant, deleted.project) == (owner.tenant, made.project.id)
        assert (deleted.actor["id"], deleted.actor["requestId"]) == (owner.user, "req-7")
        acknowledgement = trust.AcknowledgeDeletedProjectRequest(
            service="rag", tenant=owner.tenant, project=made.project.id
        )
        for _ in range(2):
            await auth.call(auth.trust.AcknowledgeDeletedProject, acknowledgement, x_portico_service_secret=SECRET)
        assert await self.listed(auth, "rag") == []
        assert len(await self.listed(auth, "vector")) == 1

    async def test_only_services_are_told(self, auth: AuthClient, owner: Person) -> None:
        request = trust.ListDeletedProjectsRequest(service="rag")
        assert (
            await refusal(auth.call(auth.trust.ListDeletedProjects, request, owner.token))
        ).code is C.UNAUTHENTICATED
        acknowledgement = trust.AcknowledgeDeletedProjectRequest(service="rag", tenant=owner.tenant, project="p")
        call = auth.call(auth.trust.AcknowledgeDeletedProject, acknowledgement, owner.token)
        assert (await refusal(call)).code is C.UNAUTHENTICATED
        call = auth.call(auth.trust.AcknowledgeDeletedProject, acknowledgement, x_portico_service_secret=SECRET)
        assert (await refusal(call)).field == "project"

    async def test_a_service_takes_up_what_was_deleted_while_it_was_away(
        self, auth: AuthClient, owner: Person, tmp_path: Path
    ) -> None:
        made = await auth.call(auth.projects.CreateProject, projects.CreateProjectRequest(name="Lab"), owner.token)
        deletion = projects.DeleteProjectRequest(id=made.project.id)
        await auth.call(auth.projects.DeleteProject, deletion, owner.token)
        env = {**environment(tmp_path / "data"), "PORTICO_AUTH_ADDRESS": f"127.0.0.1:{auth.running.port}"}
        core_settings, settings = load(InferenceSettings, env)
        service = await start("inference", core_settings, settings, build_inference, schema_of("inference"))
        try:
            hurry(service)
            async with asyncio.timeout(30):
                while await self.listed(auth, "inference"):
                    await asyncio.sleep(0.02)
            await removed(service, owner.tenant, made.project.id)
        finally:
            await service.platform.lifecycle.stop()
