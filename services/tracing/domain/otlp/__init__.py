"""Spans of OpenTelemetry as sessions and events."""
