"""The adapters of tracing's ports."""
