"""Attributes by the conventions that say what a span of an AI application means, as tables: Portico's own SDK
(`cognipeer.*`), OpenInference, OpenTelemetry's GenAI conventions with their older spellings, and Traceloop's. Of
several attributes the first that a span has counts."""

import re
from collections.abc import Mapping

from services.tracing.domain.records import SPAN

AI_CALL, TOOL_CALL, RETRIEVAL, EMBEDDING, GUARDRAIL = "ai_call", "tool_call", "retrieval", "embedding", "guardrail"
"""Types of events, beside `span`."""

TYPE = "cognipeer.event.type"
"""Names the type itself."""

TYPES: Mapping[str, Mapping[str, str]] = {
    "openinference.span.kind": {
        "LLM": AI_CALL, "TOOL": TOOL_CALL, "RETRIEVER": RETRIEVAL, "RERANKER": RETRIEVAL, "EMBEDDING": EMBEDDING,
        "GUARDRAIL": GUARDRAIL, "EVALUATOR": GUARDRAIL, "AGENT": SPAN, "CHAIN": SPAN, "PROMPT": SPAN,
    },
    "gen_ai.operation.name": {
        "chat": AI_CALL, "text_completion": AI_CALL, "generate_content": AI_CALL, "embeddings": EMBEDDING,
        "execute_tool": TOOL_CALL, "retrieval": RETRIEVAL, "invoke_agent": SPAN, "create_agent": SPAN,
        "invoke_workflow": SPAN,
    },
    "traceloop.span.kind": {"tool": TOOL_CALL, "workflow": SPAN, "task": SPAN, "agent": SPAN},
    "llm.request.type": {"chat": AI_CALL, "completion": AI_CALL, "embedding": EMBEDDING, "rerank": RETRIEVAL},
}  # fmt: skip
"""The type that the value of an attribute means."""

MODEL = (
    "cognipeer.model", "llm.model_name", "embedding.model_name", "reranker.model_name", "gen_ai.response.model",
    "gen_ai.request.model", "llm.response.model", "llm.request.model",
)  # fmt: skip

PARAMETERS = "llm.invocation_parameters"
"""JSON of what a model was called with."""

NUMBERS: Mapping[str, tuple[str, ...]] = {
    "input_tokens": (
        "cognipeer.tokens.input", "llm.token_count.prompt", "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens",
        "llm.usage.prompt_tokens",
    ),
    "output_tokens": (
        "cognipeer.tokens.output", "llm.token_count.completion", "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens", "llm.usage.completion_tokens",
    ),
    "total_tokens": (
        "cognipeer.tokens.total", "llm.token_count.total", "gen_ai.usage.total_tokens", "llm.usage.total_tokens",
    ),
    "cached_input_tokens": (
        "cognipeer.tokens.cached_input", "llm.token_count.prompt_details.cache_read",
        "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.cached_input_tokens", "gen_ai.usage.input_tokens_details.cached_tokens",
    ),
    "reasoning_tokens": (
        "cognipeer.tokens.reasoning", "llm.token_count.completion_details.reasoning",
        "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.output_tokens_details.reasoning_tokens",
        "gen_ai.usage.completion_tokens_details.reasoning_tokens", "gen_ai.usage.reasoning_tokens",
        "llm.usage.reasoning_tokens",
    ),
    "bytes_in": ("cognipeer.bytes.request",),
    "bytes_out": ("cognipeer.bytes.response",),
}  # fmt: skip

SEQUENCE = "cognipeer.event.sequence"

FINISH_REASON = (
    "cognipeer.finish_reason", "gen_ai.response.finish_reasons", "gen_ai.response.finish_reason",
    "llm.response.finish_reason", "gen_ai.completion.0.finish_reason", "llm.finish_reason",
)  # fmt: skip

TOOL_NAME = ("cognipeer.actor.name", "tool.name", "gen_ai.tool.name", "traceloop.entity.name")
TOOL_CALL_ID = ("cognipeer.tool.execution_id", "gen_ai.tool.call.id", "tool_call.id", "tool.id")
ACTOR_NAME = ("cognipeer.actor.name", "gen_ai.agent.name", "agent.name", "graph.node.id")
ACTOR_SCOPE, ACTOR_ROLE = "cognipeer.actor.scope", "cognipeer.actor.role"

SESSION_ID = "cognipeer.session.id"
THREAD_ID = (
    "cognipeer.thread.id", "session.id", "gen_ai.conversation.id",
    "traceloop.association.properties.session_id", "traceloop.association.properties.thread_id",
)  # fmt: skip
AGENT_NAME = ("cognipeer.agent.name", "service.name")
AGENT_NAME_OF_ROOT = ("gen_ai.agent.name", "agent.name", "traceloop.workflow.name", "traceloop.entity.name")
UNKNOWN_SERVICE = "unknown_service"
"""The name that SDKs give to a service whose name nobody set."""
AGENT_VERSION = ("cognipeer.agent.version", "service.version", "gen_ai.agent.version")
AGENT_MODEL = ("cognipeer.agent.model",)
METADATA = "cognipeer.metadata."
"""Prefix of a resource's attributes that become metadata of the session."""

ERROR_TYPE = ("error.type", "exception.type")
EXCEPTION = "exception"
"""The event of a span that says why it failed."""

OTHER_CONVENTIONS = ("http.", "url.", "db.", "rpc.", "messaging.", "network.", "faas.")
"""Prefixes of attributes of spans that are no calls of models, whatever their names and kinds."""

NAMES = (
    (re.compile(r"embed", re.IGNORECASE), EMBEDDING),
    (re.compile(r"retrieve|retrieval|rerank|vector.?search", re.IGNORECASE), RETRIEVAL),
    (re.compile(r"guardrail|moderation", re.IGNORECASE), GUARDRAIL),
    (re.compile(r"\btool|function.?call", re.IGNORECASE), TOOL_CALL),
    (re.compile(r"\bllm\b|chat|completion|generate.?content", re.IGNORECASE), AI_CALL),
)
"""The types of spans of which only the name tells anything."""
