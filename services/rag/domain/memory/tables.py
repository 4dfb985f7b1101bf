"""The tables of memory: stores and memories in the tenants' stores, and the intents of the whole installation."""

from core.storage.ports import INTEGER, JSON, NUMBER, TEXT, TIME, Collection, Level

MEMORY_STORES = Collection(
    "memory_stores",
    Level.PROJECT,
    {"key": TEXT, "status": TEXT, "createdAt": TIME, "config": JSON},
    unique=(("key",),),
    indexes=(("createdAt",),),
)
MEMORIES = Collection(
    "memories",
    Level.PROJECT,
    {
        "storeId": TEXT,
        "scope": TEXT,
        "scopeId": TEXT,
        "contentHash": TEXT,
        "dedupKey": TEXT,
        "vectorId": TEXT,
        "status": TEXT,
        "retention": NUMBER,
        "accessCount": INTEGER,
        "createdAt": TIME,
        "expiresAt": TIME,
        "metadata": JSON,
    },
    unique=(("storeId", "dedupKey"),),
    indexes=(("storeId", "createdAt"), ("storeId", "retention"), ("storeId", "contentHash"), ("vectorId",)),
    expiry="expiresAt",
)
MEMORY_INTENTS = Collection(
    "memory_intents",
    Level.MAIN,
    {"tenant": TEXT, "project": TEXT, "dueAt": TIME},
    indexes=(("dueAt",), ("tenant", "project")),
)
"""Changes of the vector index that may have been cut off, and times at which vectors expire."""

COLLECTIONS = (MEMORY_STORES, MEMORIES, MEMORY_INTENTS)
