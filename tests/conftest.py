"""Imported before any test module: `core` has to come before gRPC."""

import core  # noqa: F401
