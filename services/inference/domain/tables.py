"""The tables of the service in the tenants' stores."""

from core.providers import records
from core.storage.ports import (
    BOOLEAN,
    INTEGER,
    JSON,
    NUMBER,
    TEXT,
    TIME,
    Collection,
    Level,
)
from core.tenancy import AllProjects, Project
from services.inference.domain.prompts import tables as prompt_tables

DIMENSIONS = (
    "model",
    "providerKey",
    "operation",
    "status",
    "currency",
    "tokenId",
    "userId",
    "agent",
    "tagKey",
    "tagValue",
)
"""Fields by which roll-ups of usage tell calls apart."""
MEASURES = (
    "requests",
    "inputTokens",
    "outputTokens",
    "cachedInputTokens",
    "cacheWriteInputTokens",
    "reasoningTokens",
    "totalTokens",
    "costNanos",
    "latencyMicros",
)
"""Sums in roll-ups of usage."""

PROVIDERS = records.collection("providers")
MODELS = Collection(
    "models",
    Level.PROJECT,
    {
        "key": TEXT,
        "category": TEXT,
        "providerKey": TEXT,
        "inputGuardrailKey": TEXT,
        "outputGuardrailKey": TEXT,
        "piiPolicyKey": TEXT,
        "createdAt": TIME,
        "settings": JSON,
        "metadata": JSON,
    },
    unique=(("key",),),
    indexes=(("createdAt",), ("providerKey",), ("category",)),
)
_KEYED = {"key": TEXT, "createdAt": TIME, "updatedAt": TIME}
GUARDRAILS = Collection(
    "guardrails",
    Level.PROJECT,
    {**_KEYED, "type": TEXT, "enabled": BOOLEAN, "policy": JSON, "metadata": JSON},
    unique=(("key",),),
    indexes=(("createdAt",),),
)
WORD_LISTS = Collection("guardrail_word_lists", Level.PROJECT, _KEYED, unique=(("key",),), indexes=(("createdAt",),))
PII_POLICIES = Collection(
    "pii_policies",
    Level.PROJECT,
    {**_KEYED, "categories": JSON, "customPatterns": JSON, "metadata": JSON},
    unique=(("key",),),
    indexes=(("createdAt",),),
)
RERANKERS = Collection(
    "rerankers",
    Level.PROJECT,
    {**_KEYED, "strategy": TEXT, "status": TEXT, "modelKey": TEXT, "config": JSON, "metadata": JSON},
    unique=(("key",),),
    indexes=(("createdAt",), ("modelKey",)),
)
EVALUATIONS = Collection(
    "guardrail_evaluations",
    Level.PROJECT,
    {
        "createdAt": TIME,
        "day": TEXT,
        "guardrailKey": TEXT,
        "passed": BOOLEAN,
        "source": TEXT,
        "categories": TEXT,
        "latencyMs": NUMBER,
        "findings": JSON,
    },
    indexes=(("createdAt",), ("guardrailKey", "createdAt")),
)
USAGE = Collection(
    "usage",
    Level.PROJECT,
    {
        "createdAt": TIME,
        "day": TEXT,
        "tokenId": TEXT,
        "userId": TEXT,
        "model": TEXT,
        "providerKey": TEXT,
        "operation": TEXT,
        "status": TEXT,
        "currency": TEXT,
        "inputTokens": INTEGER,
        "outputTokens": INTEGER,
        "cachedInputTokens": INTEGER,
        "cacheWriteInputTokens": INTEGER,
        "reasoningTokens": INTEGER,
        "totalTokens": INTEGER,
        "costNanos": INTEGER,
        "latencyMs": NUMBER,
        "agent": TEXT,
        "tags": JSON,
    },
    indexes=(("createdAt",), ("model", "createdAt"), ("tokenId", "createdAt")),
)
ROLLUPS = Collection(
    "usage_rollups",
    Level.PROJECT,
    {
        "kind": TEXT,
        "start": INTEGER,
        "day": TEXT,
        "month": TEXT,
        **dict.fromkeys(DIMENSIONS, TEXT),
        "bucket": INTEGER,
        **dict.fromkeys(MEASURES, INTEGER),
    },
    indexes=(("kind", "start"),),
)

COLLECTIONS = (
    ROLLUPS,
    PROVIDERS,
    MODELS,
    USAGE,
    GUARDRAILS,
    WORD_LISTS,
    PII_POLICIES,
    EVALUATIONS,
    RERANKERS,
    *prompt_tables.COLLECTIONS,
)

UsageScope = Project | AllProjects
