"""What the service keeps in the tenants' stores."""

from core.providers import records
from core.storage.ports import Collection, Level

PROVIDERS = records.collection("vector_providers")
INDEXES = Collection(
    "vector_indexes",
    Level.PROJECT,
    unique=(("providerKey", "key"), ("providerKey", "nameLower")),
    indexes=(("providerKey", "createdAt"),),
)
QUERY_LOGS = Collection(
    "vector_query_logs", Level.PROJECT, indexes=(("indexId", "createdAt"), ("indexId",), ("createdAt",))
)
COLLECTIONS = (PROVIDERS, INDEXES, QUERY_LOGS)
