"""Locks over all replicas of a service, behind one port: in memory or on Redis."""
