"""The limits on requests to rag, from the constants and settings that enforce them."""

from core.limits import Limit
from services.rag.domain.files import files, names
from services.rag.domain.knowledge import headers, indexing
from services.rag.domain.knowledge.chunking import config
from services.rag.domain.memory import checks as memory
from services.rag.domain.retrieval import query_log, requests
from services.rag.domain.vector_stores import requests as vector_stores
from services.rag.domain.vector_stores import values
from services.rag.servicers import bodies, forms, ingestion, knowledge
from services.rag.settings import Settings


def limits(settings: Settings) -> tuple[Limit, ...]:
    converting = settings.conversion
    return (
        Limit("A file", settings.max_mb, "MiB", "upload", "413"),
        Limit("A body of JSON", bodies.MAX_JSON_BYTES, "bytes", "upload", "413"),
        Limit("Parts of a form", forms.MAX_PARTS, "parts", "upload"),
        Limit("A field of a form", forms.MAX_FIELD_BYTES, "bytes", "upload", "413"),
        Limit("The least rate, on average", settings.min_rate, "bytes a second", "upload", "408"),
        Limit("The time that it is averaged over; a pause", settings.idle_seconds, "seconds", "upload", "408"),
        Limit("Object key", names.MAX_KEY, "characters", "file"),
        Limit("Markdown within the record", files.MARKDOWN_INLINE_BYTES, "bytes", "answer", "none is given"),
        Limit("Files looked at by a search", files.MOST_SCANNED, "files", "page", "the cursor of the next"),
        Limit("A document of a knowledge module", converting.max_mb, "MiB", "upload", "413"),
        Limit("Its text in JSON", ingestion.MAX_TEXT_CHARS, "characters", "document", "413"),
        Limit("Its text in a file", converting.max_output_mb, "MiB", "document", "failed"),
        Limit("Its chunks", indexing.MAX_CHUNKS, "chunks", "document", "failed"),
        Limit("Chunk size", config.MAX_SIZE, "characters", "chunk"),
        Limit("Chunk size with the strategy token", config.MAX_TOKENS, "tokens", "chunk"),
        Limit("Contextual header", headers.MAX_HEADER, "characters", "chunk", "cut"),
        Limit("Documents ingested at a time", settings.knowledge.workers, "documents", "process", "they wait"),
        Limit("Embedding calls of ingestion", settings.knowledge.embeddings, "calls", "process", "they wait"),
        Limit("Wait for an ingestion", knowledge.WAIT_SECONDS, "seconds", "call", "the document as it is then"),
        Limit("A file that is converted", converting.max_mb, "MiB", "conversion", "skipped"),
        Limit("Time", converting.seconds, "seconds", "conversion", "failed"),
        Limit("Memory", converting.memory_mb, "MiB", "conversion", "failed"),
        Limit("Markdown", converting.max_output_mb, "MiB", "conversion", "failed"),
        Limit("Conversions at a time", converting.workers, "conversions", "process", "they wait"),
        Limit("A memory or a query of memories", memory.MAX_CONTENT, "characters", "request"),
        Limit("Memories", memory.MAX_BATCH, "memories", "batch"),
        Limit("Tags", memory.MAX_TAGS, "tags", "memory"),
        Limit("A tag", memory.MAX_TAG, "characters", "memory"),
        Limit("A scope id", memory.MAX_SCOPE_ID, "characters", "memory"),
        Limit("A conversation", memory.MAX_CONVERSATION, "characters", "request"),
        Limit("Messages of a conversation", memory.MAX_MESSAGES, "messages", "request"),
        Limit("Matches", memory.MAX_TOP_K, "memories", "search or recall"),
        Limit("Recalled text", memory.MAX_TOKENS, "tokens", "recall"),
        Limit("`maxMemories`", memory.MAX_MEMORIES, "memories", "memory store"),
        Limit("Memories left out by `skip`", memory.MAX_SKIP, "memories", "list"),
        *_retrieval(),
    )


def _retrieval() -> tuple[Limit, ...]:
    return (
        Limit("query", requests.MAX_QUERY, "characters", "query of a module"),
        Limit("topK", requests.MAX_TOP_K, "matches", "query of a module"),
        Limit("topK", requests.MAX_ANSWER_TOP_K, "matches", "answer"),
        Limit("oversample", requests.MAX_OVERSAMPLE, "times topK", "query of a module"),
        Limit(
            "Matches that are looked at", requests.MAX_CANDIDATES, "matches", "query of a module", "the best of them"
        ),
        Limit("multiQuery.count", requests.MAX_EXPANSIONS, "questions", "query of a module"),
        Limit("instructions", requests.MAX_INSTRUCTIONS, "characters", "answer"),
        Limit("maxContextTokens", requests.MAX_CONTEXT_TOKENS, "tokens", "answer"),
        Limit("days", query_log.MAX_DAYS, "days", "statistics of queries"),
        Limit("query", vector_stores.MAX_QUERIES, "texts", "search of a vector store"),
        Limit("max_num_results", values.MAX_RESULTS, "matches", "search of a vector store"),
        Limit("metadata, attributes", values.MAX_PAIRS, "pairs", "vector store, and file of one"),
        Limit("files, file_ids", values.MAX_FILES, "files", "batch of a vector store"),
        Limit("expires_after.days", values.MAX_DAYS, "days", "vector store"),
    )
