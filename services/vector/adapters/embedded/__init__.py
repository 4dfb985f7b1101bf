"""The embedded engine: Qdrant's, in processes of our own.

The engine's Python binding holds the interpreter's lock through every call, a second for a large index to open and
half a minute for one to be optimised. So no call runs in the service's own process: `hosts` keeps a few host processes,
each index belongs to one of them (`host`, `shard`), and optimising is done beside the live index by a process of its
own (`rebuild`) whose result replaces it.
"""
