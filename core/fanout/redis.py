"""Messages to other processes over Redis's publish and subscribe."""

import asyncio
import random
from contextlib import suppress
from typing import Any
from uuid import uuid4

import msgspec
import orjson
from redis.exceptions import RedisError

from core import logs
from core.errors import Unavailable
from core.fanout.ports import Heard, Missed
from core.redis.client import RedisClient
from core.redis.errors import translated
from core.tasks import Tasks
from core.tenancy import MAIN, AllProjects, Main, Project, Scope, Tenant

log = logs.get(__name__)

_MAX_WAITING = 10_000
"""Messages that wait for Redis to come back; for more, every subscriber is told that it has missed some."""
_RETRY_SECONDS = 0.2
_SILENCE_SECONDS = 5.0
"""Time without a message after which the connection is tried with a ping, which gets as long for its answer."""
_CLOSE_SECONDS = 1.0

_PAYLOAD = msgspec.json.Decoder(tuple[str | None, str, str | None, str | None, str])
"""Sender (None: some messages are missing), topic, tenant, project ("*": all) and text."""

Message = tuple[bytes, bytes]
"""Channel and payload."""


class RedisFanout:
    """Messages wait in memory until they are sent; equal ones that wait are one."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._sender = uuid4().hex
        self._listeners: dict[str, list[tuple[Heard, Missed]]] = {}
        self._waiting: dict[Message, None] = {}
        self._wake = asyncio.Event()
        self._running: list[asyncio.Task[None]] = []

    def publish(self, topic: str, scope: Scope, text: str = "") -> None:
        payload = orjson.dumps([self._sender, topic, *_parts(scope), text])
        self._waiting[self._redis.keys.channel(scope, topic), payload] = None
        if len(self._waiting) > _MAX_WAITING:
            topics = {_PAYLOAD.decode(payload)[1] for _, payload in self._waiting}
            self._waiting = {self._missed(topic): None for topic in sorted(topics)}
        self._wake.set()

    def subscribe(self, topic: str, heard: Heard, missed: Missed) -> None:
        self._listeners.setdefault(topic, []).append((heard, missed))

    def start(self, tasks: Tasks) -> None:
        self._running.append(tasks.every("tell other replicas", 0.0, self._send))
        if self._listeners:
            self._running.append(tasks.every("hear other replicas", _RETRY_SECONDS, self._hear))

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._send_waiting()

    async def _send(self) -> None:
        await self._wake.wait()
        try:
            await self._send_waiting()
        except Unavailable:
            await asyncio.sleep(_RETRY_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311  # spreads load

    async def _send_waiting(self) -> None:
        self._wake.clear()
        try:
            while self._waiting:
                message = next(iter(self._waiting))
                await self._redis.execute("PUBLISH", *message)
                self._waiting.pop(message, None)
        except Unavailable:
            self._wake.set()
            raise

    async def _hear(self) -> None:
        """Subscribe and hear until the connection is lost."""
        subscription = self._redis.subscription()
        try:
            with translated():
                await subscription.psubscribe(*map(self._redis.keys.channels, self._listeners))
                await self._follow(subscription)
        except (Unavailable, RedisError) as error:
            log.warning("other replicas are not heard", error=type(error.__cause__ or error).__name__)
        finally:
            with suppress(Exception):
                await subscription.aclose()

    async def _follow(self, subscription: Any) -> None:
        confirmed, pinged = 0, False
        while True:
            message = await subscription.get_message(timeout=_SILENCE_SECONDS)
            if message is None:
                if pinged:
                    raise TimeoutError
                await subscription.ping()
                pinged = True
                continue
            pinged = False
            if message["type"] == "psubscribe":
                confirmed += 1
                if confirmed == len(self._listeners):
                    for topic in self._listeners:
                        self._tell_missed(topic)
            elif message["type"] == "pmessage":
                self._take(message["data"])

    def _take(self, payload: bytes) -> None:
        try:
            sender, topic, tenant, project, text = _PAYLOAD.decode(payload)
            scope = _scope(tenant, project)
        except (msgspec.MsgspecError, ValueError):
            log.warning("a message of another replica cannot be read")
            return
        if sender == self._sender:
            return
        if sender is None:
            self._tell_missed(topic)
            return
        for heard, _ in self._listeners.get(topic, ()):
            heard(scope, text)

    def _tell_missed(self, topic: str) -> None:
        for _, missed in self._listeners.get(topic, ()):
            missed()

    def _missed(self, topic: str) -> Message:
        """The message that some messages of the topic have not been sent."""
        return self._redis.keys.channel(MAIN, topic), orjson.dumps([None, topic, None, None, ""])


def _parts(scope: Scope) -> tuple[str | None, str | None]:
    match scope:
        case Main():
            return None, None
        case Tenant(slug):
            return slug, None
        case AllProjects(tenant):
            return tenant.slug, "*"
        case Project(tenant, id):
            return tenant.slug, id


def _scope(tenant: str | None, project: str | None) -> Scope:
    if tenant is None:
        return MAIN
    if project is None:
        return Tenant(tenant)
    return AllProjects(Tenant(tenant)) if project == "*" else Project(Tenant(tenant), project)
