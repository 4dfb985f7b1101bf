"""The formats and their converters. Runs in the worker process only.

Each is loaded alone: a library's own front would load all of them, which costs seconds and hundreds of MiB per process,
and brings converters that call out to the network.
"""

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable
from typing import BinaryIO

_CONVERTERS = {
    "pdf": ("pdf", "document"),
    "docx": ("word", "document"),
    "pptx": ("slides", "document"),
    "xlsx": ("sheets", "document"),
    "html": ("html", "document"),
    "csv": ("texts", "csv_table"),
    "text": ("texts", "plain"),
}
_GAPS = re.compile(r"\n{3,}")

Convert = Callable[[BinaryIO], str]


def load(format: str, at_most: int) -> Convert:
    """The converter of a format, all its libraries loaded. `at_most` is how many bytes of Markdown are wanted."""
    for package in ("markitdown", "markitdown.converters"):
        _without_its_contents(package)
    module, name = _CONVERTERS[format]
    convert: Callable[[BinaryIO, int], str] = getattr(importlib.import_module(f"{__package__}.{module}"), name)
    if format == "text":
        return lambda document: convert(document, at_most)
    return lambda document: tidy(convert(document, at_most))


def tidy(text: str) -> str:
    """Remove spaces at the ends of lines, and empty lines but for one between others."""
    text = text.replace("\0", "").replace("\f", "\n\n")
    return _GAPS.sub("\n\n", "\n".join(line.rstrip() for line in text.split("\n"))).strip("\n")


def _without_its_contents(package: str) -> None:
    """Make the package importable, without running what it would import first."""
    if package not in sys.modules:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        sys.modules[package] = importlib.util.module_from_spec(spec)
