"""The table says what the contracts and the settings say."""

from core import config
from core.limits import Limit
from core.rpc.limit_table import limit_table
from core.rpc.policy import Policy
from core.rpc.settings import RpcSettings

ENV = {"PORTICO_SERVICE_SECRET": "s" * 32, "PORTICO_REQUEST_SECONDS": "7", "PORTICO_ARRIVING_MB": "128"}
POLICIES = [
    Policy("/portico.x.v1.Things/Get", scope="things:read"),
    Policy("/portico.x.v1.Things/Put", scope="things:write", max_request_bytes=32 << 20, max_request_fields=5),
    Policy("/portico.x.v1.Things/Add", scope="things:write", max_request_bytes=32 << 20),
    Policy("/portico.x.v1.Things/Look", public=True, max_request_bytes=64 << 10),
]


def rows(**env: str) -> list[Limit]:
    return limit_table(config.load(RpcSettings, {**ENV, **env}), POLICIES)


def found(what: str, per: str = "") -> Limit:
    (row,) = [each for each in rows() if each.what == what and per in each.per]
    return row


def test_rpcs_with_limits_of_their_own_share_a_row() -> None:
    row = found("request", "Things")
    assert (row.limit, row.per) == (32 << 20, "message of Things/Add, Things/Put")
    assert found("fields of a request", "Things").limit == 5
    assert found("request", "public").limit == 64 << 10


def test_settings_are_those_in_force() -> None:
    assert found("time for a request to arrive").limit == 7
    assert found(f"requests of at most {32 << 20} bytes that arrive at a time").limit == 4
    assert found(f"requests of at most {64 << 10} bytes that arrive at a time").limit == 2048


def test_every_row_is_complete() -> None:
    for row in rows():
        assert row.what
        assert row.unit
        assert row.per
        assert row.answer
    whats = [(row.what, row.per) for row in rows()]
    assert len(whats) == len(set(whats))
