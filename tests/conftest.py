"""Imported before any test module: `core` has to come before gRPC."""

from hypothesis import settings

import core  # noqa: F401

settings.register_profile("portico", deadline=None)  # tests count, they do not time: a busy machine must not fail them
settings.load_profile("portico")
