"""The RPCs of vector: each reads the request, asks the domain, and writes the answer."""
