"""Checks of the auth service's answers and tokens."""

from typing import Any

import grpc
import pytest

from core.context import Identity
from tests.support.auth_service import AuthClient, Refused

C = grpc.StatusCode
NEW_PASSWORD = "Another-Horse-2"


async def refusal(awaitable: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await awaitable
    return caught.value


def identity_of(auth: AuthClient, token: str) -> Identity:
    return auth.running.platform.verifier.verify(token)
