"""Attacks on the edge, from an address of their own."""

from collections import Counter
from functools import partial

from tests.load.attacks.attack import MIB, Attack, Strike, Target
from tests.support.attacks import (
    Request,
    attack_with_connections,
    attack_with_json,
    attack_with_streams,
)
from tests.support.attacks import post as head

_ADDRESS = "127.0.0.2"
_LOGIN = "/v1/auth/login"
_CHAT = "/v1/chat/completions"
_UPLOAD = "/v1/files/buckets/default/objects"
_PROVIDERS = "/v1/models/providers"
_HALF_A_HEAD = b"POST /v1/auth/login HTTP/1.1\r\nhost: x\r\n"
_NO_BODY = _HALF_A_HEAD + b"content-type: application/json\r\ncontent-length: 60000\r\n\r\n"


def streams(count: int, size: int, path: str = _LOGIN, *, who: str = "", connections: int = 12) -> Strike:
    """Send requests over HTTP/2 whose bodies of `size` bytes never end, `count` at a time on each connection."""

    async def strike(target: Target, seen: Counter[str]) -> None:
        request = Request(head(path, target.bearer(who)), size)
        await attack_with_streams(target.ports["edge"], _ADDRESS, connections, count, request, seen)

    return strike


def connections(count: int, first: bytes = b"", drip: bytes = b"") -> Strike:
    """Connections that send `first`, and then `drip` once a second, if anything."""

    async def strike(target: Target, seen: Counter[str]) -> None:
        await attack_with_connections(target.ports["edge"], _ADDRESS, count, first, seen, drip)

    return strike


def json(size: int) -> Strike:
    """Whole requests of JSON that takes long to transcode."""

    async def strike(target: Target, seen: Counter[str]) -> None:
        request = Request(head(_PROVIDERS, target.bearer("insider")), size)
        await attack_with_json(target.ports["edge"], _ADDRESS, 12, request, seen)

    return strike


_edge = partial(Attack, "edge", workers=1)

ATTACKS = [
    _edge("12 connections of 1,000 logins that never end", streams(1000, 62 * 1024), known=True),
    _edge("12 connections of 100 logins that never end", streams(100, 62 * 1024), known=True),
    _edge("3,000 connections without a request", connections(3000), known=True),
    _edge("3,000 connections with half a head", connections(3000, _HALF_A_HEAD), known=True),
    _edge("1,000 bodies that drip", connections(1000, _NO_BODY, b" "), known=True),
    _edge("30 MiB of costly JSON", json(30 * MIB), known=True),
    _edge("128 KiB of costly JSON", json(128 * 1024), known=True),
    _edge("16 KiB of costly JSON", json(16 * 1024), known=True),
    _edge(
        "12 connections of 100 chats of 31 MiB that never end",
        streams(100, 31 * MIB, _CHAT, who="insider"),
        known=True,
    ),
    _edge(
        "12 connections of 100 uploads that never end",
        streams(100, 31 * MIB, _UPLOAD, who="insider"),
    ),
]
