"""Tenants, users, projects, API tokens and the keys that sign them; the record of who changed what."""
