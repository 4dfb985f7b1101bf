"""AccountService."""

from typing import Any

from core.rpc.call import CallContext
from core.rpc.values import timestamp_of
from portico.auth.v1 import account_service_pb2 as pb
from portico.auth.v1 import account_service_pb2_grpc
from services.auth import mapping
from services.auth.domain.accounts import Accounts, SignedIn
from services.auth.domain.callers import Callers
from services.auth.domain.invitations import Invitations
from services.auth.domain.password_resets import PasswordResets
from services.auth.domain.registration import NewTenant
from services.auth.servicers.cookies import Cookies

_FORGOT = "If there is an account with this email, a mail with a token for a new password is on its way."
_NO_MAIL = "This installation sends no mail. Ask an administrator of your tenant, or its operator."


class AccountServicer(account_service_pb2_grpc.AccountServiceServicer):
    def __init__(
        self,
        accounts: Accounts,
        password_resets: PasswordResets,
        invitations: Invitations,
        callers: Callers,
        cookies: Cookies,
    ) -> None:
        self._accounts = accounts
        self._password_resets = password_resets
        self._invitations = invitations
        self._callers = callers
        self._cookies = cookies

    async def Register(self, request: pb.RegisterRequest, context: CallContext) -> pb.RegisterResponse:
        made = await self._accounts.register(
            NewTenant(
                email=request.email, password=request.password, name=request.name, company_name=request.company_name
            )
        )
        return pb.RegisterResponse(message="The company is registered.", **self._signed_in(made, context))

    async def Login(self, request: pb.LoginRequest, context: CallContext) -> pb.LoginResponse:
        made = await self._accounts.login(request.email, request.password, request.slug, request.project_id)
        return pb.LoginResponse(
            message="Signed in.", must_change_password=made.user.must_change_password, **self._signed_in(made, context)
        )

    async def Logout(self, request: pb.LogoutRequest, context: CallContext) -> pb.LogoutResponse:
        await self._accounts.logout()
        self._cookies.forget(context)
        return pb.LogoutResponse(message="Signed out.")

    async def GetSession(self, request: pb.GetSessionRequest, context: CallContext) -> pb.GetSessionResponse:
        caller = await self._callers.current()
        return mapping.get_session(caller.identity)

    async def SwitchProject(self, request: pb.SwitchProjectRequest, context: CallContext) -> pb.SwitchProjectResponse:
        made = await self._accounts.switch_project(request.project_id)
        self._cookies.keep(made.token, context)
        return pb.SwitchProjectResponse(session=mapping.session(made))

    async def ChangePassword(
        self, request: pb.ChangePasswordRequest, context: CallContext
    ) -> pb.ChangePasswordResponse:
        made = await self._accounts.change_password(request.current_password, request.new_password)
        self._cookies.keep(made.token, context)
        return pb.ChangePasswordResponse(success=True, session=mapping.session(made))

    async def ForgotPassword(
        self, request: pb.ForgotPasswordRequest, context: CallContext
    ) -> pb.ForgotPasswordResponse:
        await self._password_resets.request(request.email, request.slug)
        enabled = self._password_resets.enabled
        return pb.ForgotPasswordResponse(message=_FORGOT if enabled else _NO_MAIL, mail_enabled=enabled)

    async def ResetPassword(self, request: pb.ResetPasswordRequest, context: CallContext) -> pb.ResetPasswordResponse:
        await self._password_resets.reset(request.token, request.new_password)
        return pb.ResetPasswordResponse(success=True, message="The password is set. Sign in with it.")

    async def AcceptInvitation(
        self, request: pb.AcceptInvitationRequest, context: CallContext
    ) -> pb.AcceptInvitationResponse:
        made = await self._invitations.accept(request.token, request.password, request.name)
        return pb.AcceptInvitationResponse(**self._signed_in(made, context))

    def _signed_in(self, made: SignedIn, context: CallContext) -> dict[str, Any]:
        """The fields that every answer with a new session has; a browser keeps the session as a cookie."""
        self._cookies.keep(made.session.token, context)
        return {
            "tenant": mapping.tenant(made.tenant),
            "user": mapping.user(made.user),
            "token": made.session.token,
            "expires_at": timestamp_of(made.session.expires_at),
            "project_id": made.session.project_id,
        }
