"""The requests of rerank providers."""

from services.inference.domain.codecs.codec import Encoded, TargetModel
from services.inference.domain.codecs.openai.shaping import shaped, written
from services.inference.domain.codecs.rerank.results import RerankCodec
from services.inference.domain.pipeline.exchange import Exchange


class JinaRerank(RerankCodec):
    """The codec of Jina's /rerank, which vLLM, llama.cpp, Infinity, Voyage and others speak too."""

    def encode(self, exchange: Exchange, model: TargetModel) -> Encoded:
        request, dropped = shaped(exchange.request, model)
        if "return_documents" not in model.unsupported:
            request["return_documents"] = False  # they are here already
        return Encoded(written(request), False, dropped)


class CohereRerank(RerankCodec):
    """The codec of Cohere's API, version 2."""

    def encode(self, exchange: Exchange, model: TargetModel) -> Encoded:
        request, dropped = shaped(exchange.request, model)
        return Encoded(written(request), False, dropped)


class TeiRerank(RerankCodec):
    """The codec of text-embeddings-inference, which calls documents texts and has one model for all requests."""

    def encode(self, exchange: Exchange, model: TargetModel) -> Encoded:
        request, dropped = shaped(exchange.request, model)
        texts = request.pop("documents")
        for name in ("model", "top_n"):
            request.pop(name, None)
        request.setdefault("truncate", True)  # else one long document fails them all
        return Encoded(written({**request, "texts": texts, "raw_scores": False}), False, dropped)
