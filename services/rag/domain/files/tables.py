"""The tables of files: in the tenants' stores, and one for the whole installation."""

from core.providers import records
from core.storage.ports import INTEGER, JSON, TEXT, TIME, Collection, Level

PROVIDERS = records.collection("file_providers")
BUCKETS = Collection(
    "file_buckets",
    Level.PROJECT,
    {"key": TEXT, "providerId": TEXT, "createdAt": TIME, "metadata": JSON},
    unique=(("key",),),
    indexes=(("createdAt",), ("providerId",)),
)
FILES = Collection(
    "files",
    Level.PROJECT,
    {
        "bucketId": TEXT,
        "key": TEXT,
        "position": TEXT,
        "objectId": TEXT,
        "markdownObjectId": TEXT,
        "createdAt": TIME,
        "size": INTEGER,
        "metadata": JSON,
    },
    unique=(("bucketId", "key"),),
    indexes=(("bucketId", "position"), ("objectId",), ("markdownObjectId",)),
)
UPLOAD_INTENTS = Collection(
    "file_leftovers",
    Level.MAIN,
    {"tenant": TEXT, "project": TEXT, "dueAt": TIME},
    indexes=(("dueAt",), ("tenant", "project")),
)
"""Objects that may belong to no file, if what was being done to them was cut off."""

COLLECTIONS = (PROVIDERS, BUCKETS, FILES, UPLOAD_INTENTS)
