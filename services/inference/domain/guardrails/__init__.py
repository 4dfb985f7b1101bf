"""Guardrails: checks of what is said to models and by them, and what is done about it."""
