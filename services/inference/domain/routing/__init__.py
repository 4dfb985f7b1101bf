"""Where a call goes: routes, targets, sending, and the streams that come back."""
