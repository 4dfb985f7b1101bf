"""Queries to the documents of a module, and answers made of what they find."""
