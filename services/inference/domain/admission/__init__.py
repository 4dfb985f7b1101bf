"""Quotas and budgets of calls to models."""
