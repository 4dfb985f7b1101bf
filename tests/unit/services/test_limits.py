"""Every service lists what bounds its requests, from the constants and settings that it checks."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from core import config
from core.limits import Limit
from core.sealing import generate_key
from services.auth.limits import limits as auth_limits
from services.auth.settings import Settings as AuthSettings
from services.inference.limits import limits as inference_limits
from services.inference.settings import Settings as InferenceSettings
from services.rag.limits import limits as rag_limits
from services.rag.settings import Settings as RagSettings
from services.vector.limits import limits as vector_limits
from services.vector.settings import Settings as VectorSettings

ENV = {"PORTICO_ENCRYPTION_KEYS": generate_key()}
SERVICES: list[tuple[Callable[[Any], Sequence[Limit]], type]] = [
    (auth_limits, AuthSettings),
    (inference_limits, InferenceSettings),
    (vector_limits, VectorSettings),
    (rag_limits, RagSettings),
]


@pytest.mark.parametrize(("limits", "settings"), SERVICES)
def test_each_limit_says_what_how_much_of_what_and_what_happens(limits: Any, settings: type) -> None:
    rows = limits(config.load(settings, ENV))
    assert all(row.limit > 0 and row.what and row.per and row.answer for row in rows)
    assert len({(row.what, row.per) for row in rows}) == len(rows)


def test_a_limit_that_is_a_setting_is_told_as_it_is_set() -> None:
    loaded = config.load(RagSettings, ENV)
    (row,) = (row for row in rag_limits(replace(loaded, min_rate=7.0)) if row.limit == 7.0)
    assert (row.unit, row.per, row.answer) == ("bytes a second", "upload", "408")
