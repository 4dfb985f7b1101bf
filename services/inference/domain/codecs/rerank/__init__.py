"""The formats of rerank providers."""
