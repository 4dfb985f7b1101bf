"""Attacks on auth."""

import gzip
from collections import Counter
from functools import cache

from tests.load.attacks.attack import MIB, Attack, Headers, Target
from tests.load.attacks.raw_grpc import HEALTH, REFLECTION, hang, send
from tests.support.cluster import Rest
from tests.support.connections import http_session
from tests.support.http2_client import frame

LOGIN = "/portico.auth.v1.AccountService/Login"
_GZIPPED: Headers = [("grpc-encoding", "gzip")]
_LONG_HEAD: Headers = [(f"x-{at}", "y" * 4000) for at in range(20)]


@cache
def large() -> bytes:
    return frame(bytes(40 * MIB))


@cache
def zipped() -> bytes:
    return frame(gzip.compress(bytes(40 * MIB)), compressed=True)


def unfinished() -> bytes:
    return frame(bytes(63_000), size=65_000)


async def make_and_delete_tokens(target: Target, seen: Counter[str]) -> None:
    """One token, through the edge."""
    async with http_session() as http:
        rest = Rest(f"http://127.0.0.1:{target.ports['edge']}", http)
        made = await rest.call("POST", "/v1/tokens", {"label": "to go", "scopes": ["*"]}, token=target.insider)
        seen[f"made {made.status}"] += 1
        if made.status in (200, 201):
            gone = await rest.call("DELETE", f"/v1/tokens/{made.body['id']}", token=target.insider)
            seen[f"deleted {gone.status}"] += 1


LARGE = [
    Attack("auth", "40 MiB to Login", send(LOGIN, "auth", large), workers=12, known=True),
    Attack("auth", "40 MiB to Login, gzipped", send(LOGIN, "auth", zipped, headers=_GZIPPED), workers=12, known=True),
    Attack("auth", "40 MiB to reflection", send(REFLECTION, "auth", large), workers=12),
]
"""Large requests, which end by themselves."""
UNFINISHED = [Attack("auth", "unfinished Logins", hang(LOGIN, "auth", unfinished, 500), known=True)]
"""Requests that never end."""
ATTACKS = [
    *LARGE,
    *UNFINISHED,
    Attack("auth", "Logins with long heads", hang(LOGIN, "auth", lambda: b"", 200, headers=_LONG_HEAD)),
    Attack("auth", "reflection streams", hang(REFLECTION, "auth", unfinished, 500)),
    Attack("auth", "unfinished health checks", hang(HEALTH, "auth", unfinished, 500)),
    Attack("auth", "tokens made and deleted in a loop", make_and_delete_tokens, known=True),
]
