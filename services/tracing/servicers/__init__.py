"""The RPCs of tracing: each reads the request, asks the domain, and writes the answer."""
