"""Durable background jobs: their state is in the store, and whoever holds a job's lease works on it."""
