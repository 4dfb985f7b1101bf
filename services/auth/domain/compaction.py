"""Compaction of revocations: bounds the revoked API tokens of each tenant.

A tenant that creates and deletes API tokens again and again would fill the memory of every service with its
revocations. Where it has more than a number of them, one cut-off takes their place: every API token issued before it is
revoked, but those that exist, which are bounded. Nothing changes for any token.
"""

from core import logs
from core.errors import Conflict
from core.revocations import Revocations
from core.storage.ports import Cond, Op
from core.tenancy import MAIN, Tenant
from services.auth.domain.records import ApiToken, RevocationRecord
from services.auth.domain.revocation_log import RevocationLog, api_cut_off_id, told
from services.auth.domain.tables import Tables
from services.auth.domain.tenants import Tenants
from services.auth.ports import Clock

log = logs.get(__name__)

SETTLED_SECONDS = 60.0
"""An API token whose making began longer ago than this is in the store, or will never be handed out."""
_DELETED_AT_A_TIME = 500


class Compaction:
    """`at_most` is how many API tokens of a tenant may be revoked one by one."""

    def __init__(
        self, tables: Tables, tenants: Tenants, revocations: RevocationLog, clock: Clock, *, at_most: int
    ) -> None:
        self._tables = tables
        self._tenants = tenants
        self._revocations = revocations
        self._clock = clock
        self._at_most = at_most

    async def run(self, applied: Revocations) -> None:
        """Compact every tenant that has too many. `applied` is what is in force."""
        for slug, count in applied.revoked_api_tokens().items():
            if count > self._at_most:
                await self._compact(slug)

    async def _compact(self, slug: str) -> None:
        """Replace a tenant's revoked tokens by a cut-off. Replicas may do so at the same time: the cut-off is written
        only if it is still as it was read here.

        The revocations are read before the tokens. A token that is revoked in between is kept by the cut-off, and its
        own revocation, which is not among those that are deleted, goes on refusing it.
        """
        before = self._clock() - SETTLED_SECONDS
        id = api_cut_off_id(slug)
        earlier = await self._tables.revocations.get(MAIN, id)
        covered = await self._covered(slug, before)
        revoked = set(covered.values())
        tokens = await self._existing(slug, before)
        kept = tuple(each.id for each in tokens if each.id not in revoked and not _is_cut_off(each, earlier))
        cut_off = RevocationRecord(
            id=id, tenant=slug, created_at=self._clock(), api=True, issued_before=before, kept=kept
        )
        if not await self._write(cut_off, earlier):
            return
        self._revocations.learn([cut_off])
        ids = list(covered)
        for start in range(0, len(ids), _DELETED_AT_A_TIME):
            batch = ids[start : start + _DELETED_AT_A_TIME]
            await self._tables.revocations.delete_where(MAIN, {"id": Cond(Op.IN, batch)})
        log.info("revocations compacted", tenant=slug, replaced=len(ids), kept=len(kept))

    async def _covered(self, slug: str, before: float) -> dict[str, str]:
        """The revocations of single API tokens that were issued before: record id -> token id."""
        found = {}
        async for record in self._tables.revocations.scan(MAIN, {"tenant": slug}):
            revocation = told(record)
            if revocation.api and revocation.token_id and revocation.issued_at < before:
                found[record.id] = revocation.token_id
        return found

    async def _existing(self, slug: str, before: float) -> list[ApiToken]:
        if await self._tenants.known(slug) is None:
            return []
        settled = {"createdAt": Cond(Op.LT, before)}
        return [token async for token in self._tables.tokens.scan(Tenant(slug), settled)]

    async def _write(self, cut_off: RevocationRecord, earlier: RevocationRecord | None) -> bool:
        """Write the cut-off. Returns whether this call did."""
        if earlier is None:
            try:
                await self._tables.revocations.insert(MAIN, cut_off)
            except Conflict:
                return False
            return True
        written = await self._tables.revocations.update(
            MAIN,
            cut_off.id,
            where={"createdAt": earlier.created_at, "issuedBefore": Cond(Op.LT, cut_off.issued_before)},
            issued_before=cut_off.issued_before,
            kept=cut_off.kept,
            created_at=cut_off.created_at,
        )
        return written is not None


def _is_cut_off(token: ApiToken, cut_off: RevocationRecord | None) -> bool:
    """Return whether the cut-off covers the token, though whoever revoked it died before it was deleted."""
    return cut_off is not None and token.created_at < cut_off.issued_before and token.id not in cut_off.kept
