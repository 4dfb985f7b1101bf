"""The tables of the service, by folder of the domain."""

from services.rag.domain.files import tables as files
from services.rag.domain.knowledge import tables as knowledge

COLLECTIONS = (*files.COLLECTIONS, *knowledge.COLLECTIONS)
