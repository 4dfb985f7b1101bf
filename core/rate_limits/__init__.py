"""Rate limits, behind one port: in memory or on Redis."""
