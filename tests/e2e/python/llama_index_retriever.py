"""LlamaIndex over OpenAI's face: a retriever of a vector store, and documents found by their embeddings."""

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from openai import OpenAI


class OpenAIVectorStoreRetriever(BaseRetriever):
    """LlamaIndex has none of its own for OpenAI's vector stores."""

    def __init__(self, vector_store_id: str) -> None:
        super().__init__()
        self._id = vector_store_id

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [
            NodeWithScore(
                node=TextNode(text="\n".join(part.text for part in found.content), metadata={"name": found.filename}),
                score=found.score,
            )
            for found in OpenAI().vector_stores.search(self._id, query=query_bundle.query_str)
        ]
