"""Imported before any test module: `core` has to come before gRPC."""

import gc

import structlog
from hypothesis import settings

import core  # noqa: F401

settings.register_profile("portico", deadline=None)  # tests count, they do not time: a busy machine must not fail them
settings.load_profile("portico")

# Rich tracebacks, the default where no service has configured the logs, take 0.2 s of CPU each.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

gc.disable()  # until all is imported


def pytest_collection_finish() -> None:
    """Spare the garbage collector all that was imported: it was a sixth of the CPU of the unit tests."""
    gc.freeze()
    gc.enable()
