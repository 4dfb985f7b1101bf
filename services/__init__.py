"""What counts as a service: every package here is one deployable, all of the same shape."""
