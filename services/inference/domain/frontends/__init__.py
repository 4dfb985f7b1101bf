"""The wire formats of callers: their requests become canonical, canonical answers become theirs."""
