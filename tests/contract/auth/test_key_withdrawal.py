"""A stolen signing key is withdrawn: nothing that it signed is taken any more, here and wherever services follow."""

import asyncio
import os
import subprocess
import sys
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from core import config
from core.errors import Unauthenticated
from core.rpc.trust_feed import _public_key
from core.token_verifier import KeyRing, TokenVerifier
from portico.auth.v1 import audit_service_pb2 as audit
from portico.auth.v1 import key_service_pb2 as keys
from portico.auth.v1 import token_service_pb2 as tokens
from services.auth.app import Domain
from services.auth.commands import CommandSettings, open_domain
from tests.support.auth_service import AuthClient, auth_service, environment
from tests.support.legacy import token_without_end
from tests.support.waiting import until
from tools.supervisor import ROOT

QUICK = {"PORTICO_AUTH_KEY_POLL_SECONDS": "0.05", "PORTICO_AUTH_REVOCATION_POLL_SECONDS": "0.05"}


async def published(auth: AuthClient) -> list[str]:
    return [key.kid for key in (await auth.call(auth.keys.GetJwks, keys.GetJwksRequest())).keys]


async def until_published(auth: AuthClient, gone: str) -> None:
    ring = auth.running.platform.keys
    await until(lambda: ring.get(gone) is None)


def domain_of(folder: Path, **env: str) -> AbstractAsyncContextManager[Domain]:
    return open_domain(config.load(CommandSettings, {**environment(folder), **QUICK, **env}))


class TestWithdrawal:
    async def test_what_the_current_key_signed_is_refused_and_the_next_one_signs(self, tmp_path: Path) -> None:
        """A rotation keeps the old key published for ever: whoever had stolen it could sign tokens for ever."""
        folder = tmp_path / "data"
        async with auth_service(folder, **QUICK) as one, auth_service(folder, **QUICK) as two:
            owner = await one.register("acme")
            made = await one.api_token(owner.token)
            assert await two.works(made.token)
            stolen, following = await published(one)
            async with domain_of(folder) as domain:
                withdrawn = await domain.withdrawal.withdraw(stolen)
            assert (withdrawn.signs_now, withdrawn.tokens) == (following, {"acme": 1})
            for auth in (one, two):
                await until_published(auth, stolen)
                assert stolen not in await published(auth)
                for token in (owner.token, made.token):
                    assert not await auth.works(token)
            again = await one.login(owner.email)
            assert await two.works(again)
            listed = await one.call(one.tokens.ListTokens, tokens.ListTokensRequest(), again)
            assert not listed.tokens

    async def test_a_retired_key_and_the_next_one_are_withdrawn_too(self, tmp_path: Path) -> None:
        folder = tmp_path / "data"
        async with auth_service(folder, **QUICK) as auth:
            owner = await auth.register("acme")
            old = await auth.api_token(owner.token)
            retired, current = await published(auth)
            async with domain_of(folder, PORTICO_AUTH_KEY_PUBLISH_SECONDS="0") as domain:
                assert await domain.keys.rotate() == current
                await until(lambda: auth.running.platform.keys.get(domain.keys.published[1].id) is not None)
                fresh = await auth.login(owner.email)
                kept = await auth.api_token(fresh)
                child = await auth.api_token(old.token)
                assert (await domain.withdrawal.withdraw(retired)).tokens == {"acme": 2}
                following = domain.keys.published[1].id
                assert (await domain.withdrawal.withdraw(following)).tokens == {}
            await until_published(auth, retired)
            await until_published(auth, following)
            assert len(await published(auth)) == 2
            assert await auth.works(fresh)
            assert await auth.works(kept.token)
            for token in (owner.token, old.token, child.token):  # which the present key signed, for a thief
                assert not await auth.works(token)

    async def test_a_follower_forgets_what_it_has_verified(self, tmp_path: Path) -> None:
        """A token that had been verified once was taken from a cache, whatever became of its key."""
        folder = tmp_path / "data"
        async with auth_service(folder, **QUICK) as auth:
            owner = await auth.register("acme")

            async def fetched() -> dict[str, object]:
                answer = await auth.call(auth.keys.GetJwks, keys.GetJwksRequest())
                return {key.kid: _public_key(key) for key in answer.keys}

            ring = KeyRing()
            ring.replace(await fetched())  # type: ignore[arg-type]
            verifier = TokenVerifier(ring, auth.running.platform.revocations)
            verifier.verify(owner.token)
            ring.replace(await fetched())  # type: ignore[arg-type]
            assert owner.token in verifier._verified
            stolen = (await published(auth))[0]
            async with domain_of(folder) as domain:
                await domain.withdrawal.withdraw(stolen)
            await until_published(auth, stolen)
            ring.replace(await fetched())  # type: ignore[arg-type]
            with pytest.raises(Unauthenticated):
                verifier.verify(owner.token)

    async def test_tokens_of_earlier_versions_are_counted_by_when_they_were_made(self, tmp_path: Path) -> None:
        folder = tmp_path / "data"
        async with auth_service(folder, **QUICK) as auth:
            owner = await auth.register("acme")
            made = await auth.api_token(owner.token)
            stolen = (await published(auth))[0]
            async with domain_of(folder) as domain:
                await token_without_end(domain, "acme", made.id, {})
                assert await domain.withdrawal.signed() == {stolen: 1, domain.keys.published[1].id: 0}
                assert (await domain.withdrawal.withdraw(stolen)).tokens == {"acme": 1}


class TestCommands:
    async def test_the_operator_sees_the_keys_and_withdraws_one(self, tmp_path: Path) -> None:
        folder = tmp_path / "data"
        async with auth_service(folder, **QUICK) as auth:
            owner = await auth.register("acme")
            made = await auth.api_token(owner.token)
            stolen, following = await published(auth)
            listed = await command(folder, "list-keys")
            lines = [line.split() for line in listed.stdout.splitlines()]
            assert [(line[0], line[1], line[-1]) for line in lines[1:]] == [
                (stolen, "current", "1"),
                (following, "next", "0"),
            ]
            withdrawn = await command(folder, "withdraw-key", stolen)
            assert withdrawn.returncode == 0
            assert f"Key {stolen} is withdrawn, and key {following} signs now." in withdrawn.stdout
            assert "API tokens that are lost and have to be made again: 1.\n  acme: 1" in withdrawn.stdout
            await until_published(auth, stolen)
            assert not await auth.works(made.token)
            wanted = audit.ListAuditEntriesRequest(action="signing_key.withdraw")
            fresh = await auth.login(owner.email)
            (entry,) = (await auth.call(auth.audit.ListAuditEntries, wanted, fresh)).entries
            assert (entry.actor_kind, entry.outcome, entry.resource_id) == ("operator", "success", stolen)
            assert dict(entry.metadata) == {"tokens": "1"}
        again = await command(folder, "withdraw-key", stolen)
        assert again.returncode == 1
        assert f"There is no key {stolen}." in again.stderr
        assert "stolen" in (await command(folder, "withdraw-key", "--help")).stdout


async def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an operator's command, a process of its own, and return its output."""
    line = [sys.executable, "-m", "services.auth", *arguments]
    env = {**os.environ, **environment(folder)}
    run = partial(subprocess.run, line, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    return await asyncio.to_thread(run)
