"""The tables of the service, by folder of the domain."""

from services.rag.domain.files import tables as files

COLLECTIONS = (*files.COLLECTIONS,)
