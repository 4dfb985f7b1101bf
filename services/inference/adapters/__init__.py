"""The adapters of inference's ports."""
