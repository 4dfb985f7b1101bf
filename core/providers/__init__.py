"""Providers: what a project's models, vectors or files run on. A record names a driver and holds sealed credentials.

Every service that calls something of its tenants' own has providers, of drivers of its own; this is what is the same.
"""
