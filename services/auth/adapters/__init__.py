"""The adapters of auth's ports."""
