"""A real auth service on a port of its own, and a client that speaks to it as people and programs do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from core.app import Running, load, start
from core.rpc.headers import SERVICE_SECRET
from core.sealing import generate_key
from portico.auth.v1 import account_service_pb2 as accounts_pb
from portico.auth.v1 import account_service_pb2_grpc as accounts_grpc
from portico.auth.v1 import audit_service_pb2_grpc as audit_grpc
from portico.auth.v1 import budget_service_pb2_grpc as budgets_grpc
from portico.auth.v1 import key_service_pb2_grpc as keys_grpc
from portico.auth.v1 import project_service_pb2_grpc as projects_grpc
from portico.auth.v1 import quota_service_pb2_grpc as quotas_grpc
from portico.auth.v1 import token_service_pb2 as tokens_pb
from portico.auth.v1 import token_service_pb2_grpc as tokens_grpc
from portico.auth.v1 import trust_service_pb2_grpc as trust_grpc
from portico.auth.v1 import user_service_pb2 as users_pb
from portico.auth.v1 import user_service_pb2_grpc as users_grpc
from services.auth.app import build
from services.auth.settings import Settings
from tests.support.serving import BY_EDGE, EDGE_SECRET, connect
from tests.support.stores import schema_of

SECRET = "s" * 40
PASSWORD = "Correct-Horse-1"

CHEAP = {
    "PORTICO_DRAIN_SECONDS": "0",
    "PORTICO_GRACE_SECONDS": "1",
    "PORTICO_AUTH_PASSWORD_MEMORY_KIB": "1024",
    "PORTICO_AUTH_PASSWORD_PASSES": "1",
    "PORTICO_AUTH_SIGN_IN_SECONDS": "0",
    **{
        f"PORTICO_AUTH_{name}_LIMIT": "100000/minute"
        for name in (
            "LOGIN",
            "LOGIN_ADDRESS",
            "LOGIN_ACCOUNT",
            "SIGN_IN",
            "REGISTER",
            "ACCEPT",
            "FORGOT",
            "FORGOT_ADDRESS",
            "TOKEN",
            "INVITATION",
            "CHANGE",
        )
    },
}
"""Hashes that cost little, and limits that no test meets by accident."""


class Refused(Exception):
    """An error answer, read."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        super().__init__(f"{error.code().name}: {error.details()}")
        self.code = error.code()
        self.message = error.details() or ""
        self.trailing = dict(error.trailing_metadata() or ())
        self.reason = self.field = ""
        self.retry_after = 0.0
        status = status_pb2.Status.FromString(self.trailing.get("grpc-status-details-bin", b""))
        for detail in status.details:
            self._read(detail)

    def _read(self, detail: Any) -> None:
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            self.reason = info.reason
        elif detail.Unpack(bad):
            self.field = bad.field_violations[0].field
        elif detail.Unpack(retry):
            self.retry_after = retry.retry_delay.ToNanoseconds() / 1e9


@dataclass
class Person:
    """A user who has signed in."""

    tenant: str
    user: str
    project: str
    email: str
    token: str


class AuthClient:
    def __init__(self, running: Running, channel: grpc.aio.Channel) -> None:
        self.running = running
        self.accounts = accounts_grpc.AccountServiceStub(channel)
        self.users = users_grpc.UserServiceStub(channel)
        self.projects = projects_grpc.ProjectServiceStub(channel)
        self.tokens = tokens_grpc.TokenServiceStub(channel)
        self.audit = audit_grpc.AuditServiceStub(channel)
        self.keys = keys_grpc.KeyServiceStub(channel)
        self.quotas = quotas_grpc.QuotaServiceStub(channel)
        self.budgets = budgets_grpc.BudgetServiceStub(channel)
        self.trust = trust_grpc.TrustServiceStub(channel)

    async def call(self, rpc: Any, request: Message, token: str = "", **metadata: str) -> Any:
        """The answer. Raises Refused."""
        try:
            return await self.start(rpc, request, token, **metadata)
        except grpc.aio.AioRpcError as error:
            raise Refused(error) from None

    def start(self, rpc: Any, request: Message, token: str = "", **metadata: str) -> Any:
        """The call itself, as the edge brings it, for its metadata or its stream."""
        pairs = [*BY_EDGE, *((name.replace("_", "-"), value) for name, value in metadata.items())]
        if token:
            pairs.append(("authorization", f"Bearer {token}"))
        return rpc(request, metadata=tuple(pairs), timeout=20)

    def watch(self, request: Message) -> Any:
        return self.trust.WatchRevocations(request, metadata=((SERVICE_SECRET, SECRET),))

    async def register(self, name: str, email: str = "") -> Person:
        email = email or f"owner@{name}.example.com"
        made = await self.call(
            self.accounts.Register,
            accounts_pb.RegisterRequest(email=email, password=PASSWORD, name="Owner", company_name=name),
        )
        return Person(made.tenant.slug, made.user.id, made.project_id, email, made.token)

    async def login(self, email: str, password: str = PASSWORD, **fields: str) -> str:
        request = accounts_pb.LoginRequest(email=email, password=password, **fields)
        return str((await self.call(self.accounts.Login, request)).token)

    async def join(self, owner: Person, email: str, role: str = "user", **fields: Any) -> Person:
        """Invite somebody and accept for them."""
        invited = await self.call(
            self.users.InviteUser, users_pb.InviteUserRequest(email=email, role=role, **fields), owner.token
        )
        made = await self.call(
            self.accounts.AcceptInvitation,
            accounts_pb.AcceptInvitationRequest(token=invited.token, password=PASSWORD, name="New"),
        )
        return Person(owner.tenant, made.user.id, made.project_id, email, made.token)

    async def api_token(self, token: str, **fields: Any) -> Any:
        fields.setdefault("label", "a token")
        return await self.call(self.tokens.CreateToken, tokens_pb.CreateTokenRequest(**fields), token)

    async def works(self, token: str) -> bool:
        """Return whether the service still takes the token."""
        try:
            await self.call(self.accounts.GetSession, accounts_pb.GetSessionRequest(), token)
        except Refused as refused:
            if refused.code is not grpc.StatusCode.UNAUTHENTICATED:
                raise
            return False
        return True


def environment(folder: Path) -> dict[str, str]:
    """The settings of a service on this folder, whose keys lie in it, too."""
    folder.mkdir(exist_ok=True)
    key_file = folder / "encryption-keys"
    if not key_file.exists():
        key_file.write_text(generate_key())
    return {
        "PORTICO_DATA_DIR": str(folder),
        "PORTICO_SERVICE_SECRET": SECRET,
        "PORTICO_EDGE_SECRET": EDGE_SECRET,
        "PORTICO_ENCRYPTION_KEYS": key_file.read_text(),
        **CHEAP,
    }


@asynccontextmanager
async def auth_service(folder: Path, **env: str) -> AsyncIterator[AuthClient]:
    """Several may share a folder: replicas."""
    core_settings, settings = load(Settings, {**environment(folder), **env})
    running = await start("auth", core_settings, settings, build, schema_of("auth"))
    try:
        async with connect(running.port) as channel:
            yield AuthClient(running, channel)
    finally:
        await running.platform.lifecycle.stop()
