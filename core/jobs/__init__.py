"""Background work that survives a crash: its state is in the store, and whoever holds its lease works on it."""
