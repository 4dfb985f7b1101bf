"""The services: every package here is one deployable, all of the same shape."""
