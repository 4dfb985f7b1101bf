"""Check that two tenants of a running Portico are apart: `python -m tools.isolation_check --url URL`."""
