"""Page tokens: where a list was left, bound to what was listed.

A token is no permission, so it is not signed with a key: it only says from where to go on, and the scope is asked
again. The digest keeps it from being used, or changed, by mistake.
"""

import base64
import binascii
from collections.abc import Sequence
from hashlib import blake2b
from typing import cast

import orjson

from core.errors import InvalidInput
from core.storage.conditions import Condition
from core.storage.ports import Collection, Order
from core.storage.statements import Position
from core.tenancy import Scope

_DIGEST_BYTES = 16
_MAX_TOKEN = 4 * 1024 * 1024
"""Characters: a longer one is not read. It holds the value that its list is ordered by."""


def binding(scope: Scope, collection: Collection, conds: Sequence[Condition], order: Order) -> bytes:
    asked = [(name, op.value, value) for name, op, value in conds]
    return orjson.dumps([repr(scope), collection.name, asked, order.field, order.descending])


def encode(bound_to: bytes, position: Position) -> str:
    payload = orjson.dumps(position)
    return base64.urlsafe_b64encode(_digest(bound_to, payload) + payload).rstrip(b"=").decode()


def decode(bound_to: bytes, token: str) -> Position | None:
    """Decode a page token; None for the empty one: from the start. Raises InvalidInput for a token of another list, or
    none of ours."""
    if not token:
        return None
    if len(token) > _MAX_TOKEN:
        raise _refused()
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _refused() from None
    digest, payload = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
    if digest != _digest(bound_to, payload) or base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != token:
        raise _refused()
    return cast(Position, tuple(orjson.loads(payload)))


def _digest(bound_to: bytes, payload: bytes) -> bytes:
    return blake2b(payload, key=blake2b(bound_to).digest(), digest_size=_DIGEST_BYTES).digest()


def _refused() -> InvalidInput:
    return InvalidInput(
        "This page token is not of this list: repeat the call with the filter and order it was given for.",
        field="pageToken",
    )
