"""What the service keeps: in the tenants' stores, and one list for the whole installation."""

from core.audit.records import AUDIT_LOG
from core.providers import records
from core.storage.ports import Collection, Level

PROVIDERS = records.collection("file_providers")
BUCKETS = Collection("file_buckets", Level.PROJECT, unique=(("key",),), indexes=(("createdAt",), ("providerId",)))
FILES = Collection(
    "files",
    Level.PROJECT,
    unique=(("bucketId", "key"),),
    indexes=(("bucketId", "position"), ("objectId",), ("markdownObjectId",)),
)
COLLECTIONS = (PROVIDERS, BUCKETS, FILES, AUDIT_LOG)

LEFTOVERS = Collection("file_leftovers", Level.MAIN, indexes=(("dueAt",), ("tenant", "project")))
"""Objects that may belong to no file, if what was being done to them was cut off."""
