"""Compatibility corpus of the REST API: requests, recorded answers, replay and comparison."""
