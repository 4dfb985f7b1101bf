"""Cached values, counters and locks: none, memory or Redis behind one port."""
