"""KeyService."""

from core.rpc.call import CallContext
from portico.auth.v1 import key_service_pb2 as pb
from portico.auth.v1 import key_service_pb2_grpc
from services.auth import mapping
from services.auth.domain.keys import Keys


class KeyServicer(key_service_pb2_grpc.KeyServiceServicer):
    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def GetJwks(self, request: pb.GetJwksRequest, context: CallContext) -> pb.GetJwksResponse:
        return pb.GetJwksResponse(keys=map(mapping.jwk, self._keys.published))
