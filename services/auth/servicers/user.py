"""UserService."""

from core.rpc.call import CallContext
from portico.auth.v1 import user_service_pb2 as pb
from portico.auth.v1 import user_service_pb2_grpc
from services.auth import mapping
from services.auth.domain.invitations import Invitations, NewInvitation
from services.auth.domain.users import Users


class UserServicer(user_service_pb2_grpc.UserServiceServicer):
    def __init__(self, users: Users, invitations: Invitations) -> None:
        self._users = users
        self._invitations = invitations

    async def ListUsers(self, request: pb.ListUsersRequest, context: CallContext) -> pb.ListUsersResponse:
        users, following = await self._users.page(request.page_size, request.page_token)
        return pb.ListUsersResponse(users=map(mapping.user, users), next_page_token=following)

    async def GetUser(self, request: pb.GetUserRequest, context: CallContext) -> pb.GetUserResponse:
        return pb.GetUserResponse(user=mapping.user(await self._users.get(request.id)))

    async def UpdateUser(self, request: pb.UpdateUserRequest, context: CallContext) -> pb.UpdateUserResponse:
        user = await self._users.update(request.id, mapping.user_change(request))
        return pb.UpdateUserResponse(user=mapping.user(user))

    async def DeleteUser(self, request: pb.DeleteUserRequest, context: CallContext) -> pb.DeleteUserResponse:
        await self._users.delete(request.id)
        return pb.DeleteUserResponse(success=True)

    async def InviteUser(self, request: pb.InviteUserRequest, context: CallContext) -> pb.InviteUserResponse:
        made = await self._invitations.invite(
            NewInvitation(
                email=request.email,
                name=request.name,
                role=request.role,
                overrides=dict(request.service_permissions),
                project_ids=tuple(request.project_ids),
            )
        )
        return pb.InviteUserResponse(
            invitation=mapping.invitation(made.invitation), token=made.secret, mailed=made.mailed
        )

    async def ListInvitations(
        self, request: pb.ListInvitationsRequest, context: CallContext
    ) -> pb.ListInvitationsResponse:
        invitations, following = await self._invitations.page(request.page_size, request.page_token)
        return pb.ListInvitationsResponse(invitations=map(mapping.invitation, invitations), next_page_token=following)

    async def RevokeInvitation(
        self, request: pb.RevokeInvitationRequest, context: CallContext
    ) -> pb.RevokeInvitationResponse:
        await self._invitations.revoke(request.id)
        return pb.RevokeInvitationResponse(success=True)
