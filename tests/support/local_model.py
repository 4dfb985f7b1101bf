"""The real local model of tests and benchmarks, fetched once."""

import sys
from pathlib import Path

MODELS = Path(sys.prefix) / "models"
"""Folder of local models, beside what was installed."""
