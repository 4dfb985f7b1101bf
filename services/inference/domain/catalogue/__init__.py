"""Catalogue of what a project can call: providers, models and their prices."""
