"""TokenService."""

from core.rpc.call import CallContext
from portico.auth.v1 import token_service_pb2 as pb
from portico.auth.v1 import token_service_pb2_grpc
from services.auth import mapping
from services.auth.domain.tokens import Tokens


class TokenServicer(token_service_pb2_grpc.TokenServiceServicer):
    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def ListTokens(self, request: pb.ListTokensRequest, context: CallContext) -> pb.ListTokensResponse:
        tokens, following, caller = await self._tokens.page(request.project_id, request.page_size, request.page_token)
        shown = (mapping.api_token(token, caller) for token in tokens)
        return pb.ListTokensResponse(tokens=shown, next_page_token=following)

    async def CreateToken(self, request: pb.CreateTokenRequest, context: CallContext) -> pb.CreateTokenResponse:
        return mapping.created_token(*await self._tokens.create(mapping.new_token(request)))

    async def DeleteToken(self, request: pb.DeleteTokenRequest, context: CallContext) -> pb.DeleteTokenResponse:
        await self._tokens.delete(request.id)
        return pb.DeleteTokenResponse(success=True)
