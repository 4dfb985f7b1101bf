"""Secrets at rest: AES-256-GCM under a key with an id, bound to the place where the secret is stored.

A sealed text is `v1.<key id>.<base64url of nonce and ciphertext>`. The scope, the record's id and the key's id are
authenticated with it, so a sealed text that is copied to another tenant, project or record does not open there.
"""

import base64
import os
import re
from dataclasses import dataclass
from typing import ClassVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.config import ConfigError, Secret, setting
from core.errors import PorticoError
from core.tenancy import AllProjects, Main, Project, Scope, Tenant

_VERSION = "v1"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_KEY_ID = re.compile(r"[a-z0-9]{1,16}")

UNKNOWN_KEY = "SEALED_WITH_UNKNOWN_KEY"
TAMPERED = "SEAL_BROKEN"


class SealBroken(PorticoError):
    """A sealed text that does not open: its key is not among ours, or it was changed or moved.

    It is the operator's to repair, so the caller learns no more than that; `reason` tells the two apart.
    """

    default_reason: ClassVar[str] = TAMPERED

    def __init__(self, reason: str = TAMPERED) -> None:
        super().__init__("A stored secret cannot be read. Store it again, or ask the operator.", reason=reason)


class Sealer:
    """Seals with its first key and opens with any of them, so that keys can be rotated."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        """`keys` by id, the primary one first. Raises ConfigError, which shows no part of them."""
        if not keys:
            raise ConfigError(["sealing keys: at least one is needed"])
        for position, (key_id, key) in enumerate(keys.items(), start=1):
            if not _KEY_ID.fullmatch(key_id) or len(key) != _KEY_BYTES:
                raise ConfigError([f"sealing key {position}: must be 32 bytes, under an id of 1 to 16 of a-z and 0-9"])
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._primary = next(iter(keys))

    @classmethod
    def from_settings(cls, text: str | Secret) -> "Sealer":
        """`<id>:<base64 of 32 bytes>` entries, comma-separated, the primary one first. Raises ConfigError."""
        keys: dict[str, bytes] = {}
        entries = (text.reveal() if isinstance(text, Secret) else text).split(",")
        for position, entry in enumerate((part.strip() for part in entries if part.strip()), start=1):
            key_id, _, encoded = entry.partition(":")
            try:
                if key_id in keys:
                    raise ValueError("an id is used twice")
                keys[key_id] = base64.b64decode(encoded, validate=True)
            except ValueError:
                problem = f"sealing key {position}: must be <id>:<base64 of 32 bytes>, each id once"
                raise ConfigError([problem]) from None
        return cls(keys)

    def seal(self, scope: Scope, record_id: str, plaintext: bytes) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        associated_data = _associated_data(scope, record_id, self._primary)
        box = nonce + self._ciphers[self._primary].encrypt(nonce, plaintext, associated_data)
        return f"{_VERSION}.{self._primary}.{_encode(box)}"

    def open(self, scope: Scope, record_id: str, sealed: str) -> bytes:
        """Decrypt a sealed value. Raises SealBroken."""
        version, key_id, box = _parse(sealed)
        if version != _VERSION:
            raise SealBroken
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealBroken(UNKNOWN_KEY)
        try:
            return cipher.decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], _associated_data(scope, record_id, key_id))
        except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce
            raise SealBroken from None

    @property
    def known(self) -> frozenset[str]:
        """Ids of the keys."""
        return frozenset(self._ciphers)

    @staticmethod
    def key_id(sealed: str) -> str:
        """Id of the key that a text was sealed with. Raises SealBroken."""
        return _parse(sealed)[1]

    def needs_reseal(self, sealed: str) -> bool:
        """Return whether it was sealed with another key than the primary one."""
        return not sealed.startswith(f"{_VERSION}.{self._primary}.")


@dataclass(frozen=True)
class SealingSettings:
    """Secrets at rest"""

    keys: Secret = setting(
        "PORTICO_ENCRYPTION_KEYS",
        help="Keys that seal secrets at rest, the one in use first: <id>:<base64 of 32 bytes>, comma-separated.",
    )

    def __post_init__(self) -> None:
        try:
            self.sealer()
        except ConfigError as error:
            raise ValueError("; ".join(error.problems)) from None

    def sealer(self) -> Sealer:
        return Sealer.from_settings(self.keys)


def generate_key(key_id: str = "k1") -> str:
    """A fresh key as an entry for `Sealer.from_settings`."""
    return f"{key_id}:{base64.b64encode(os.urandom(_KEY_BYTES)).decode()}"


def _encode(box: bytes) -> str:
    return base64.urlsafe_b64encode(box).rstrip(b"=").decode()


def _parse(sealed: str) -> tuple[str, str, bytes]:
    """Version, key id, nonce and ciphertext. Raises SealBroken."""
    try:
        version, key_id, encoded = sealed.split(".")
        box = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except ValueError:
        raise SealBroken from None
    if _encode(box) != encoded:  # decoding skips foreign characters and ignores the last one's spare bits
        raise SealBroken
    return version, key_id, box


def _associated_data(scope: Scope, record_id: str, key_id: str) -> bytes:
    """The associated data. Unambiguous: only the last part can hold the separator."""
    match scope:
        case Main():
            parts = ("main", "", "")
        case Tenant(slug):
            parts = ("tenant", slug, "")
        case Project(Tenant(slug), project_id):
            parts = ("project", slug, project_id)
        case AllProjects(Tenant(slug)):
            parts = ("every-project", slug, "")
    return "\0".join((_VERSION, *parts, key_id, record_id)).encode()
