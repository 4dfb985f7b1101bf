"""Token counts, usage records and reports."""
