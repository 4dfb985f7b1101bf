"""Channels of a rule: what callers give of them, and the secrets in them, sealed."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import orjson

from core import fields
from core.errors import InvalidInput
from core.http.origin import Origin
from core.mail.rendering import address
from core.providers.providers import HostGuard
from core.sealing import Sealer
from core.tenancy import Project
from services.tracing.domain.alerts.records import CHANNEL_TYPES, EMAIL, SLACK, WEBHOOK, Channel

MAX_CHANNELS = 10
MAX_RECIPIENTS = 20
_MAX_URL = 2000
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class GivenChannel:
    """A channel as a caller gives it. With the `id` of one that is there, an empty url keeps its url and secret."""

    type: str
    id: str = ""
    recipients: tuple[str, ...] = ()
    url: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The sealed part of a webhook or Slack channel. `secret` is empty for Slack."""

    url: str
    secret: str = ""


class Channels:
    """Checks and seals channels, and opens them for their delivery."""

    def __init__(self, sealer: Sealer, guard: HostGuard) -> None:
        self._sealer = sealer
        self._guard = guard

    async def checked(
        self, project: Project, given: Sequence[GivenChannel], known: Sequence[Channel] = ()
    ) -> tuple[tuple[Channel, ...], dict[str, str]]:
        """The channels, and the secrets that were just set, by id of their channel. Raises InvalidInput."""
        fields.count("channels", given, MAX_CHANNELS)
        kept = {channel.id: channel for channel in known}
        made, new_secrets = [], {}
        for at, each in enumerate(given):
            channel, secret = await self._checked(project, each, f"channels[{at}]", kept.get(each.id))
            made.append(channel)
            if secret:
                new_secrets[channel.id] = secret
        if len({channel.id for channel in made}) < len(made):
            raise InvalidInput("A channel is given twice.", field="channels")
        return tuple(made), new_secrets

    def endpoint(self, project: Project, channel: Channel) -> Endpoint:
        """Raises SealBroken."""
        return Endpoint(**orjson.loads(self._sealer.open(project, f"channel {channel.id}", channel.sealed)))

    async def _checked(
        self, project: Project, given: GivenChannel, field: str, known: Channel | None
    ) -> tuple[Channel, str]:
        type_ = fields.one_of(f"{field}.type", given.type, CHANNEL_TYPES)
        if type_ == EMAIL:
            return Channel(known.id if known else uuid4().hex, EMAIL, _recipients(given, field)), ""
        if known is not None and known.type == type_ and not given.url:
            if given.secret:
                raise InvalidInput("With a new secret, give the url again.", field=f"{field}.url")
            return known, ""
        url = fields.text(f"{field}.url", given.url, at_least=1, at_most=_MAX_URL)
        origin = _origin(url, f"{field}.url")
        await self._guard.validate_host(origin.host, origin.port, field=f"{field}.url")
        secret = _secret(given, field) if type_ == WEBHOOK else ""
        if type_ == SLACK and given.secret:
            raise InvalidInput("A slack channel has no secret: its url is one.", field=f"{field}.secret")
        id = known.id if known else uuid4().hex
        sealed = self._sealer.seal(project, f"channel {id}", orjson.dumps({"url": url, "secret": secret}))
        return Channel(id, type_, (), f"{origin.scheme}://{origin.authority}", sealed), secret


def _recipients(given: GivenChannel, field: str) -> tuple[str, ...]:
    fields.count(f"{field}.recipients", given.recipients, MAX_RECIPIENTS)
    for each in given.recipients:
        address(each, f"{field}.recipients")
    return tuple(dict.fromkeys(given.recipients))


def _origin(url: str, field: str) -> Origin:
    base, _, query = url.partition("?")
    if not all("!" <= each <= "~" and each != "#" for each in query):
        raise InvalidInput("The url holds blanks, '#' or characters beyond ASCII.", field=field)
    return Origin.parse(base, field=field)


def _secret(given: GivenChannel, field: str) -> str:
    """The secret that signs a webhook's requests: the caller's, or a new one."""
    secret = fields.text(f"{field}.secret", given.secret, at_most=200)
    if secret and len(secret) < 16:
        raise InvalidInput("A secret has 16 to 200 characters.", field=f"{field}.secret")
    return secret or f"whsec_{secrets.token_urlsafe(_SECRET_BYTES)}"
