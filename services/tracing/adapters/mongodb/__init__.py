"""Traces in MongoDB."""
