"""The tables of retrieval."""

from core.storage.ports import BOOLEAN, INTEGER, NUMBER, TEXT, TIME, Collection, Level

QUERIES = Collection(
    "rag_queries",
    Level.PROJECT,
    {
        "moduleId": TEXT,
        "createdAt": TIME,
        "day": INTEGER,
        "found": BOOLEAN,
        "scoreBand": INTEGER,
        "latencyBand": INTEGER,
        "latencyMs": NUMBER,
        "topScore": NUMBER,
    },
    indexes=(("moduleId", "createdAt"), ("createdAt",)),
)
"""The log of queries."""

COLLECTIONS = (QUERIES,)
