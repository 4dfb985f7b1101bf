"""The tables of the service in the tenants' stores."""

from core.providers import records
from core.storage.ports import (
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

PROVIDERS = records.collection("providers")
MODELS = Collection(
    "models",
    Level.PROJECT,
    {"key": TEXT, "category": TEXT, "providerKey": TEXT, "createdAt": TIME, "settings": JSON, "metadata": JSON},
    unique=(("key",),),
    indexes=(("createdAt",), ("providerKey",), ("category",)),
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
        "reasoningTokens": INTEGER,
        "totalTokens": INTEGER,
        "costNanos": INTEGER,
        "latencyMs": NUMBER,
    },
    indexes=(("createdAt",), ("model", "createdAt"), ("tokenId", "createdAt")),
)

COLLECTIONS = (PROVIDERS, MODELS, USAGE, *prompt_tables.COLLECTIONS)

UsageScope = Project | AllProjects
