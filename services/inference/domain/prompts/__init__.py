"""Prompts: templates with versions, environments and comments."""
