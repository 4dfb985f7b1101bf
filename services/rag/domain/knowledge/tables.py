"""The tables of knowledge modules, all in the tenants' stores."""

from core.storage.ports import INTEGER, JSON, TEXT, TIME, Collection, Level

MODULES = Collection(
    "rag_modules",
    Level.PROJECT,
    {
        "liveKey": TEXT,
        "vectorStoreId": TEXT,
        "status": TEXT,
        "createdAt": TIME,
        "chunkConfig": JSON,
        "hybrid": JSON,
        "defaultFilter": JSON,
        "metadata": JSON,
    },
    unique=(("liveKey",),),  # a module that is being deleted has none
    indexes=(("createdAt",), ("status",), ("vectorStoreId",)),
)
DOCUMENTS = Collection(
    "rag_documents",
    Level.PROJECT,
    {
        "moduleId": TEXT,
        "identity": TEXT,
        "status": TEXT,
        "createdAt": TIME,
        "chunkCount": INTEGER,
        "version": INTEGER,
        "jobId": TEXT,
        "fileId": TEXT,
        "batchId": TEXT,
        "position": TEXT,
        "size": INTEGER,
        "indexedVersion": INTEGER,
        "source": JSON,
        "staleFiles": JSON,
        "chunkConfig": JSON,
        "metadata": JSON,
    },
    unique=(("moduleId", "identity"),),  # a document that is being deleted has none
    indexes=(
        ("moduleId", "createdAt"),
        ("moduleId", "status"),
        ("moduleId", "fileId"),
        ("moduleId", "batchId"),
        ("moduleId", "position"),
    ),
)
CHUNKS = Collection(
    "rag_chunks",
    Level.PROJECT,
    {
        "moduleId": TEXT,
        "documentId": TEXT,
        "generation": INTEGER,
        "version": INTEGER,
        "chunkIndex": INTEGER,
        "contentHash": TEXT,
        "headingPath": JSON,
    },
    indexes=(("documentId", "chunkIndex"), ("moduleId", "contentHash")),
)
TEXTS = Collection(
    "rag_texts",
    Level.PROJECT,
    {"moduleId": TEXT, "documentId": TEXT, "sourceId": TEXT, "start": INTEGER},
    indexes=(("documentId", "sourceId", "start"), ("moduleId",), ("sourceId",)),
)
REINDEXES = Collection(
    "rag_reindexes",
    Level.PROJECT,
    {"moduleId": TEXT, "status": TEXT, "createdAt": TIME, "chunkConfig": JSON},
    indexes=(("moduleId", "createdAt"),),
)

COLLECTIONS = (MODULES, DOCUMENTS, CHUNKS, TEXTS, REINDEXES)
