"""The ports of tracing."""
