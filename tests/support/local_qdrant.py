"""A vector engine on Qdrant's client in its local mode; a module of its own, as the client is a heavy import."""

from qdrant_client import AsyncQdrantClient
from qdrant_client.async_client_base import AsyncQdrantBase

from tests.support.remote_engines import MIB


class LocalQdrant:
    """Qdrant's client in its local mode, which keeps points in a folder."""

    max_answer_bytes = 16 * MIB

    def __init__(self, folder: str) -> None:
        self._client = AsyncQdrantClient(path=folder)

    async def client(self) -> AsyncQdrantBase:
        return self._client

    def failed(self) -> None:
        pass

    async def close(self) -> None:
        await self._client.close()
