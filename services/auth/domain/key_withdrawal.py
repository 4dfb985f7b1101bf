"""Withdrawal of a stolen signing key and of all tokens that it signed."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from core.errors import NotFound
from core.storage.ports import Cond, Op
from core.tenancy import MAIN, Tenant
from services.auth.domain.keys import Keys
from services.auth.domain.members import Members
from services.auth.domain.records import ACTIVE, SUSPENDED, ApiToken, SigningKey
from services.auth.domain.tables import Tables
from services.auth.domain.tenants import Tenants
from services.auth.ports import Clock


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """`tokens` is how many API tokens were lost, by tenant; `signs_now` the key that signs from now on."""

    signs_now: str
    tokens: Mapping[str, int]


class Withdrawal:
    def __init__(self, tables: Tables, tenants: Tenants, keys: Keys, members: Members, clock: Clock) -> None:
        self._tables = tables
        self._tenants = tenants
        self._keys = keys
        self._members = members
        self._clock = clock

    async def withdraw(self, key_id: str) -> Withdrawn:
        """Remove the key, then the API tokens that it signed and those that were made with them, which another key may
        have signed. Safe to repeat after a crash. Raises NotFound for a key of which there is no trace."""
        key = await self._keys.withdraw(key_id)
        lost = {tenant: count async for tenant, count in self._take_back(key_id, key) if count}
        if key is None and not lost:
            raise NotFound(f"There is no key {key_id}. `list-keys` shows those that there are.")
        return Withdrawn(self._keys.signer.key_id, lost)

    async def signed(self) -> Mapping[str, int]:
        """Count the API tokens that each key has signed."""
        counts = {key.id: 0 for key in self._keys.published}
        async for tenant in self._tenants_in_use():
            for key in self._keys.published:
                counts[key.id] += len(await self._signed_by(tenant, key.id, key))
        return counts

    async def _take_back(self, key_id: str, key: SigningKey | None) -> AsyncIterator[tuple[str, int]]:
        async for tenant in self._tenants_in_use():
            tokens = await self._signed_by(tenant, key_id, key)
            yield tenant.slug, await self._members.take_back(tenant, tokens)

    async def _tenants_in_use(self) -> AsyncIterator[Tenant]:
        async for tenant_record in self._tables.tenants.scan(MAIN, {"status": Cond(Op.IN, (ACTIVE, SUSPENDED))}):
            if await self._tenants.known(tenant_record.slug) is not None:
                yield Tenant(tenant_record.slug)

    async def _signed_by(self, tenant: Tenant, key_id: str, key: SigningKey | None) -> list[ApiToken]:
        """Records of earlier versions do not name the key: those count that were made while it signed."""
        tokens = [token async for token in self._tables.tokens.scan(tenant, {"keyId": key_id})]
        if key is not None and (began := key.activated_at) is not None:
            made = Cond(Op.GTE, began), Cond(Op.LTE, key.retired_at or self._clock())
            unnamed = {"keyId": None, "createdAt": made}
            tokens += [token async for token in self._tables.tokens.scan(tenant, unnamed)]
        return tokens
