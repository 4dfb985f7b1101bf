"""Programs for developers: generation, the local run, checks."""
