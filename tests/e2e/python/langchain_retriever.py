"""LangChain over OpenAI's face: a retriever of a vector store, and documents found by their embeddings."""

import json
import sys

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import OpenAIEmbeddings
from openai import OpenAI


class OpenAIVectorStoreRetriever(BaseRetriever):
    """LangChain has none of its own for OpenAI's vector stores."""

    vector_store_id: str

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return [
            Document("\n".join(part.text for part in found.content), metadata={"source": found.filename})
            for found in OpenAI().vector_stores.search(self.vector_store_id, query=query)
        ]


def main(store: str, query: str) -> None:
    retrieved = OpenAIVectorStoreRetriever(vector_store_id=store).invoke(query)
    embeddings = OpenAIEmbeddings(model="echo-embedding", check_embedding_ctx_length=False)
    found = InMemoryVectorStore.from_documents(retrieved, embeddings).similarity_search(retrieved[0].page_content, k=1)
    print(
        json.dumps(
            {"vector_store": [each.metadata["source"] for each in retrieved], "embeddings": found[0].metadata["source"]}
        )
    )


main(*sys.argv[1:])
