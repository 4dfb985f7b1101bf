"""The adapters of vector's ports: one file or folder per engine."""
