"""Engines, and what else the service reaches out to: one file, or folder, per thing."""
