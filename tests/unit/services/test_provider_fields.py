"""Values that tenants may write into the fields of any driver, of whichever service."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.http.guard import OutboundGuard
from core.providers.drivers import Driver, Field
from services.inference.domain.catalogue.drivers import DRIVERS
from services.rag.adapters import s3
from tests.support.remote_engines import drivers_at

ALL = [*DRIVERS.values(), *drivers_at().values(), s3.driver(OutboundGuard())]
FIELDS = [pytest.param(driver, field, id=f"{driver.id} {field.name}") for driver in ALL for field in driver.fields]

_SCHEMES = st.sampled_from(["http://", "https://", "postgresql://", "postgres://", "://", ""])
_TEXTS = st.text() | st.builds("".join, st.tuples(_SCHEMES, st.text("[]@:/?#%1a.,-", max_size=12)))
VALUES = _TEXTS | st.integers() | st.floats() | st.booleans() | st.none() | st.lists(st.text(), max_size=1)


def outcome(driver: Driver, field: Field, value: object) -> dict[str, str] | InvalidInput:
    try:
        return driver.checked(field.section, {field.name: value})
    except InvalidInput as refused:
        return refused


@pytest.mark.parametrize(("driver", "field"), FIELDS)
@settings(max_examples=settings().max_examples // 2)  # for each of some thirty fields, which are of few kinds
@given(value=VALUES)
def test_a_field_takes_a_value_as_text_or_refuses_it_by_name(driver: Driver, field: Field, value: object) -> None:
    match outcome(driver, field, value):
        case InvalidInput() as refused:
            missing = f"needs {refused.field}" in refused.message  # this one was good, but others are wanted too
            assert refused.field == f"{field.section}.{field.name}" or missing
        case checked:
            assert all(isinstance(each, str) and each for each in checked.values())


@pytest.mark.parametrize(("driver", "field"), FIELDS)
@pytest.mark.parametrize("value", ["1" * 5000, "postgresql://[x", "http://[x", "x" * 8192, "-1", "1e5"])
def test_values_that_libraries_stumble_over(driver: Driver, field: Field, value: str) -> None:
    """A port of 5,000 digits and a connection string with half an address were a 500."""
    assert isinstance(outcome(driver, field, value), dict | InvalidInput)
