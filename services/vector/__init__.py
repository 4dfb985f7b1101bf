"""Vector providers, indexes, points, queries and migrations."""
