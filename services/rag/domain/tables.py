"""The tables of the service, by folder of the domain."""

from services.rag.domain.files import tables as files
from services.rag.domain.memory import tables as memory

COLLECTIONS = (*files.COLLECTIONS, *memory.COLLECTIONS)
