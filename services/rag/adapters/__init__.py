"""The adapters of rag's ports."""
