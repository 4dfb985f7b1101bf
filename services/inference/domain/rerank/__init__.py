"""Reranking: how relevant documents are to a query, by a model, a judge or their words."""
