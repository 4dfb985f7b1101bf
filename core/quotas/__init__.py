"""Quotas: rate limits, budgets and limits of amounts, counted exactly across replicas."""
