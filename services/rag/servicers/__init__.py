"""The RPCs of rag: each reads the request, asks the domain, and writes the answer."""
