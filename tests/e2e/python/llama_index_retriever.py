"""LlamaIndex over OpenAI's face: a retriever of a vector store, and documents found by their embeddings."""

import json
import os
import sys

from llama_index.core import VectorStoreIndex
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.embeddings.openai import OpenAIEmbedding
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


def main(store: str, query: str) -> None:
    retrieved = OpenAIVectorStoreRetriever(store).retrieve(query)
    embeddings = OpenAIEmbedding(model_name="echo-embedding", api_base=os.environ["OPENAI_BASE_URL"])
    index = VectorStoreIndex([each.node for each in retrieved], embed_model=embeddings)
    (found,) = index.as_retriever(similarity_top_k=1).retrieve(retrieved[0].node.get_content())
    names = [each.node.metadata["name"] for each in retrieved]
    print(json.dumps({"vector_store": names, "embeddings": found.node.metadata["name"]}))


main(*sys.argv[1:])
