"""The way of a call to a provider: routes, targets, sending, and the streams that come back."""
