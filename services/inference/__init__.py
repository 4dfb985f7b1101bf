"""Providers, models, chat and embeddings, usage and cost."""
