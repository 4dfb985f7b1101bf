"""The list of models of the inference service."""

from core.errors import FailedPrecondition
from core.rpc.client import ServiceClient
from portico.inference.v1 import model_service_pb2 as pb
from portico.inference.v1 import model_service_pb2_grpc

_SECONDS = 30.0


class ModelClient:
    """A Models of the ports."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._stub = model_service_pb2_grpc.ModelServiceStub(client.channel)

    async def embedding_model(self) -> str:
        token, oldest = "", ""
        while True:  # newest first
            request = pb.ListModelsRequest(category="embedding", page_token=token)
            answer = await self._client.call(self._stub.ListModels, request, seconds=_SECONDS)
            oldest = answer.models[-1].key if answer.models else oldest
            token = answer.next_page_token
            if not token:
                break
        if not oldest:
            raise FailedPrecondition(
                "The project has no embedding model, which a vector store needs. Create one.",
                reason="EMBEDDING_MODEL",
                field="embedding_model",
            )
        return oldest
