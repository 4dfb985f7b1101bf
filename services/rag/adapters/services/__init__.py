"""Clients of Portico's other services: inference for models, vector for indexes."""
