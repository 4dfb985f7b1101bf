"""The adapters of tracing."""
