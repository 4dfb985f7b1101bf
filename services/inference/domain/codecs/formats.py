"""The codecs of the service, by provider format and category of model."""

from collections.abc import Mapping

from services.inference.domain.catalogue.drivers import ANTHROPIC, COHERE, OPENAI, TEI
from services.inference.domain.catalogue.models import EMBEDDING, LLM, RERANK
from services.inference.domain.codecs.anthropic.chat import AnthropicChat
from services.inference.domain.codecs.codec import Codec
from services.inference.domain.codecs.openai.chat import OpenAIChat
from services.inference.domain.codecs.openai.embeddings import OpenAIEmbeddings
from services.inference.domain.codecs.rerank.formats import CohereRerank, JinaRerank, TeiRerank

Codecs = Mapping[tuple[str, str], Codec]
"""Codecs by a driver's `format` and a model's category."""


def codecs(*, max_event_bytes: int) -> Codecs:
    """`max_event_bytes` bounds one event of a stream."""
    return {
        (OPENAI, LLM): OpenAIChat(max_event_bytes=max_event_bytes),
        (OPENAI, EMBEDDING): OpenAIEmbeddings(),
        (OPENAI, RERANK): JinaRerank(),
        (COHERE, RERANK): CohereRerank(),
        (TEI, EMBEDDING): OpenAIEmbeddings(),
        (TEI, RERANK): TeiRerank(),
        (ANTHROPIC, LLM): AnthropicChat(max_event_bytes=max_event_bytes),
    }
