"""Files in buckets: where they lie, how they come and go, and their conversion to Markdown."""
