"""Keys that sign tokens: one current, one next that signs nothing yet, any number retired.

All are published, so verifiers know a key before the first token carries it. A retired key stays published, without its
private half, because API tokens live long: rotation logs nobody out. A key that was stolen is withdrawn: it is
published no more, and nothing that it signed is taken any more. Several replicas may do all this at once:
the store's unique `slot` lets one of them win, and the others read again.
"""

import base64
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from core import logs
from core.errors import Conflict, FailedPrecondition, Unavailable
from core.sealing import Sealer
from core.tenancy import MAIN
from services.auth.domain.records import SigningKey
from services.auth.domain.tables import Tables
from services.auth.ports import Clock

log = logs.get(__name__)

CURRENT, NEXT = "current", "next"
_ORDER = {CURRENT: 0, NEXT: 1, None: 2}
_COORDINATE_BYTES = 32

PublicKeys = Mapping[str, ec.EllipticCurvePublicKey]


@dataclass(frozen=True, slots=True)
class Signer:
    """The current key, as the issuer needs it."""

    key_id: str
    private: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Rotation:
    """`max_age`: seconds after which the current key is retired; `publish`: seconds for which a key is known to
    verifiers before it signs."""

    max_age: float
    publish: float


class Keys:
    """The signing keys of the store, kept in memory by `refresh`. `publish` gets the public keys at each change;
    `tell` has the other replicas read them anew."""

    def __init__(
        self,
        tables: Tables,
        sealer: Sealer,
        clock: Clock,
        rotation: Rotation,
        publish: Callable[[PublicKeys], None],
        tell: Callable[[], object] = lambda: None,
    ) -> None:
        self._table = tables.signing_keys
        self._sealer = sealer
        self._clock = clock
        self._rotation = rotation
        self._publish = publish
        self._tell = tell
        self._keys: tuple[SigningKey, ...] = ()
        self._signer: Signer | None = None

    @property
    def published(self) -> Sequence[SigningKey]:
        """Every key, the current one first."""
        return self._keys

    @property
    def signer(self) -> Signer:
        if self._signer is None:
            raise Unavailable("Portico is starting. Try again in a moment.", retry_after=1.0)
        return self._signer

    async def refresh(self) -> None:
        """Read the keys again, make what is missing, and rotate when the current one has grown old."""
        keys = await self._load()
        if not {CURRENT, NEXT} <= keys.keys():
            await self._fill(keys)
            keys = await self._load()
        if self._is_due(keys):
            with suppress(Conflict):  # another replica was faster
                await self._rotate(keys)
            keys = await self._load()
        await self._reseal(keys)
        self._take(keys)

    async def rotate(self) -> str:
        """Retire the current key and let the next one sign. Returns the id of the one that signs now.

        Raises FailedPrecondition while verifiers may not know the next key yet.
        """
        keys = await self._load()
        if not {CURRENT, NEXT} <= keys.keys():
            await self._fill(keys)
            keys = await self._load()
        wait = keys[NEXT].created_at + self._rotation.publish - self._clock()
        if wait > 0:
            raise FailedPrecondition(
                f"The next key is too new: services may not know it yet. Rotate in {wait:.0f} seconds or later.",
                reason="KEY_TOO_NEW",
                retry_after=wait,
            )
        await self._rotate(keys)
        await self.refresh()
        return self.signer.key_id

    async def withdraw(self, key_id: str) -> SigningKey | None:
        """Remove a key, so that whatever it signed is refused; None: there is none of that id.

        The first step is the one that counts, and from any state after it a replica's `refresh` goes on: it lets the
        next key sign in place of a withdrawn current one, however new it is, and makes what is missing.
        """
        key = await self._table.get(MAIN, key_id)
        if key is not None:
            await self._table.delete(MAIN, key_id)
            log.warning("key withdrawn", key=key_id)
            await self.refresh()
            self._tell()
        return key

    async def _load(self) -> dict[str, SigningKey]:
        """All keys by slot, the retired ones by their id."""
        return {key.slot or key.id: key async for key in self._table.scan(MAIN, {})}

    async def _fill(self, keys: Mapping[str, SigningKey]) -> None:
        """Create missing keys, and finish a rotation that was interrupted: each step leaves a state from which this
        goes on."""
        if CURRENT not in keys and NEXT in keys:
            await self._promote(keys[NEXT])
            keys = await self._load()
        for slot in (CURRENT, NEXT):
            if slot not in keys:
                with suppress(Conflict):  # another replica was faster
                    await self._table.insert(MAIN, self._generate(slot))

    async def _rotate(self, keys: Mapping[str, SigningKey]) -> None:
        retired = await self._table.update(
            MAIN, keys[CURRENT].id, where={"slot": CURRENT}, slot=None, sealed=None, retired_at=self._clock()
        )
        if retired is None:
            raise Conflict("The keys are being rotated already.")
        await self._promote(keys[NEXT])
        with suppress(Conflict):
            await self._table.insert(MAIN, self._generate(NEXT))
        self._tell()
        log.info("keys rotated", retired=retired.id, current=keys[NEXT].id)

    async def _promote(self, key: SigningKey) -> None:
        with suppress(Conflict):
            await self._table.update(MAIN, key.id, where={"slot": NEXT}, slot=CURRENT, activated_at=self._clock())

    def _is_due(self, keys: Mapping[str, SigningKey]) -> bool:
        if not {CURRENT, NEXT} <= keys.keys():
            return False
        now = self._clock()
        began = keys[CURRENT].activated_at or keys[CURRENT].created_at
        return began + self._rotation.max_age <= now and keys[NEXT].created_at + self._rotation.publish <= now

    def _generate(self, slot: str) -> SigningKey:
        private = ec.generate_private_key(ec.SECP256R1())
        numbers = private.public_key().public_numbers()
        id = secrets.token_hex(8)
        text = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        now = self._clock()
        return SigningKey(
            id=id,
            x=_coordinate(numbers.x),
            y=_coordinate(numbers.y),
            created_at=now,
            slot=slot,
            sealed=self._sealer.seal(MAIN, id, text),
            activated_at=now if slot == CURRENT else None,
        )

    async def _reseal(self, keys: dict[str, SigningKey]) -> None:
        """Seal private keys under the primary sealing key, so that an older one can be taken away."""
        for slot, key in keys.items():
            if key.sealed is not None and self._sealer.needs_reseal(key.sealed):
                fresh = self._sealer.seal(MAIN, key.id, self._sealer.open(MAIN, key.id, key.sealed))
                await self._table.update(MAIN, key.id, where={"sealed": key.sealed}, sealed=fresh)
                keys[slot] = msgspec.structs.replace(key, sealed=fresh)

    def _take(self, keys: Mapping[str, SigningKey]) -> None:
        ordered = tuple(sorted(keys.values(), key=lambda key: (_ORDER[key.slot], -key.created_at)))
        current = keys.get(CURRENT)
        if current is not None and current.sealed and (self._signer is None or self._signer.key_id != current.id):
            private = load_der_private_key(self._sealer.open(MAIN, current.id, current.sealed), password=None)
            if not isinstance(private, ec.EllipticCurvePrivateKey):
                raise TypeError("signing keys are on P-256")
            self._signer = Signer(current.id, private)
        if [key.id for key in ordered] != [key.id for key in self._keys]:
            self._publish({key.id: _public(key) for key in ordered})
        self._keys = ordered


def _coordinate(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(_COORDINATE_BYTES, "big")).rstrip(b"=").decode()


def _public(key: SigningKey) -> ec.EllipticCurvePublicKey:
    x, y = (int.from_bytes(base64.urlsafe_b64decode(each + "="), "big") for each in (key.x, key.y))
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
