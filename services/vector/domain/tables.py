"""The tables of the service in the tenants' stores."""

from core.providers import records
from core.storage.ports import BOOLEAN, JSON, NUMBER, TEXT, TIME, Collection, Level

PROVIDERS = records.collection("vector_providers")
INDEXES = Collection(
    "vector_indexes",
    Level.PROJECT,
    {"providerKey": TEXT, "key": TEXT, "nameLower": TEXT, "createdAt": TIME, "metadata": JSON},
    unique=(("providerKey", "key"), ("providerKey", "nameLower")),
    indexes=(("providerKey", "createdAt"),),
)
QUERY_LOGS = Collection(
    "vector_query_logs",
    Level.PROJECT,
    {
        "indexId": TEXT,
        "createdAt": TIME,
        "filtered": BOOLEAN,
        "found": BOOLEAN,
        "latencyMs": NUMBER,
        "topScore": NUMBER,
    },
    indexes=(("indexId", "createdAt"), ("indexId",), ("createdAt",)),
)
COLLECTIONS = (PROVIDERS, INDEXES, QUERY_LOGS)
