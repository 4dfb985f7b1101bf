"""The cache of a service, behind one port: none or in memory."""
