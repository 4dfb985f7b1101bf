"""The embedded engine: Qdrant's engine in engine workers.

The engine's Python binding holds the interpreter's lock through every call but a query: 40 ms to write 5,000 points, a
second to open a large index, half a minute to optimise one. So no call runs in the service's own process, but in host
processes (`worker`, `shard`; `workers` is the service's side of one): small indexes share a few, a large one has its
own (`pool`), and optimising is done beside the live index by a further process, whose result replaces it (`rebuild`).
"""
