"""Imported before any test module: `core` has to come before gRPC."""

import gc
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from core import logs

# Tests count, they do not time: a busy machine must not fail them. Every run tries the same examples, so that a change
# is to blame for a failure; `pytest --hypothesis-profile=search` tries new ones, and twice as many, and
# `make test-unit` some of them (`quick`).
settings.register_profile("search", deadline=None)
settings.register_profile("portico", settings.get_profile("search"), derandomize=True, max_examples=50)
settings.register_profile("quick", settings.get_profile("portico"), max_examples=15)
settings.load_profile("portico")

# Rich tracebacks, the default where no service has configured the logs, take 0.2 s of CPU each.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

_LOGS = structlog.get_config()

gc.disable()  # until all is imported


def pytest_collection_finish() -> None:
    """Spare the garbage collector all that was imported: it was a sixth of the CPU of the unit tests."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="module")
def _collected() -> Iterator[None]:
    """Collect a module's garbage with its last test: what it leaves open fails that one, not one of another file."""
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Undo what a test sets up of logs: its level would hide lines that a later test looks for."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    if structlog.get_config()["wrapper_class"] is not _LOGS["wrapper_class"]:
        structlog.configure(**_LOGS)
        logs._processors.clear()
        for logger in logs._loggers:
            logger.forget()
        root.handlers[:], root.level = handlers, level
