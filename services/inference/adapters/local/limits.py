"""Limits of the driver local, apart from the libraries that it needs."""

MAX_CHARACTERS = 8 * 1024 * 1024
"""Characters of the texts of one request."""
