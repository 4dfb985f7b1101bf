"""The embedded engine: Qdrant's, in processes of our own.

The engine's Python binding holds the interpreter's lock through every call but a query: 40 ms to write 5,000 points, a
second to open a large index, half a minute to optimise one. So no call runs in the service's own process: `hosts` keeps
a few host processes, each index belongs to one of them (`host`, `shard`), and optimising is done beside the live index
by a process of its own (`rebuild`) whose result replaces it.
"""
