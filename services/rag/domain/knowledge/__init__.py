"""Knowledge modules: documents, their ingestion, chunks and re-indexing."""
