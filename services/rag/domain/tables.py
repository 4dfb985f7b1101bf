"""The tables of the service, by folder of the domain."""

from services.rag.domain.files import tables as files
from services.rag.domain.knowledge import tables as knowledge
from services.rag.domain.memory import tables as memory
from services.rag.domain.retrieval import tables as retrieval

COLLECTIONS = (*files.COLLECTIONS, *knowledge.COLLECTIONS, *memory.COLLECTIONS, *retrieval.COLLECTIONS)
