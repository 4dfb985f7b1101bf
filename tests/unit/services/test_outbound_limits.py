"""The rows about outbound calls say what is enforced, and leave nothing out."""

import inspect
from types import ModuleType

import pytest

from core import config
from core.http import limits as http
from core.limits import Limit
from core.sealing import generate_key
from services.inference import outbound_limits as inference
from services.inference.settings import Settings as InferenceSettings
from services.rag import outbound_limits as rag
from services.rag.adapters import s3_limits
from services.rag.settings import Settings as RagSettings
from services.vector import outbound_limits as vector
from services.vector.adapters import postgres_limits, qdrant_limits
from services.vector.settings import Settings as VectorSettings

ENV = {"PORTICO_ENCRYPTION_KEYS": generate_key(), "PORTICO_VECTOR_MAX_ANSWER_MB": "7"}
ROWS: list[Limit] = [
    *http.rows(),
    *inference.rows(config.load(InferenceSettings, ENV)),
    *vector.rows(config.load(VectorSettings, ENV)),
    *rag.rows(config.load(RagSettings, ENV)),
]


def test_each_row_says_what_how_much_of_what_and_what_happens() -> None:
    assert all(row.limit > 0 and row.what and row.unit and row.per and row.answer for row in ROWS)
    assert len({(row.what, row.unit, row.per) for row in ROWS}) == len(ROWS)


def test_a_limit_that_is_a_setting_is_told_as_it_is_set() -> None:
    assert 7 in [row.limit for row in ROWS if row.what == "Vector provider: answer"]


@pytest.mark.parametrize("bounds", [http, s3_limits, postgres_limits, qdrant_limits])
def test_no_bound_is_left_out(bounds: ModuleType) -> None:
    """Each number stands in a row, but for the defaults whose place a setting takes."""
    sources = "".join(inspect.getsource(module) for module in (inference, vector, rag))
    sources += inspect.getsource(http.rows)
    numbers = {name for name, value in vars(bounds).items() if name.isupper() and isinstance(value, int | float)}
    assert {name for name in numbers if name not in sources} <= {"FIRST_BYTE_SECONDS", "IDLE_SECONDS"}
