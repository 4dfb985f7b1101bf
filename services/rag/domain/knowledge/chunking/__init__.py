"""Chunking: where a document's text is cut."""
