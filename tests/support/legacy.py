"""Records of earlier versions of auth, for tests that its successors still take them."""

from pathlib import Path

import jwt

from core.storage.ports import Collection, Document, Level
from core.storage.schema import Schema
from core.storage.sqlite import SqliteStore
from core.tenancy import MAIN, Tenant
from core.token_verifier import ALGORITHM, PREFIX
from services.auth.app import Domain

REVOCATIONS = Collection("revocations", Level.MAIN)


async def token_without_end(domain: Domain, tenant: str, token_id: str, claims: Document) -> str:
    """An API token that never expires, in place of the one of this id, whose `claims` it has."""
    signer = domain.keys.signer
    eternal = {name: value for name, value in claims.items() if name != "exp"}
    await domain.tables.tokens.update(Tenant(tenant), token_id, expires_at=None, parent_id=None, key_id=None)
    return PREFIX + jwt.encode(eternal, signer.private, algorithm=ALGORITHM, headers={"kid": signer.key_id})


def revocation(number: int, tenant: str, now: float) -> Document:
    """Of an API token that never expired: nothing says when it was issued, or that it was one."""
    return {
        "id": f"{number:032x}",
        "tenant": tenant,
        "createdAt": now,
        "tokenId": f"{number:032x}",
        "subject": "",
        "issuedBefore": 0.0,
        "expiresAt": 0.0,
    }


async def write_revocations(folder: Path, records: list[Document]) -> None:
    """Before the service has started: it makes the indexes, which is quicker than to keep them up to date."""
    store = SqliteStore(folder, Schema([REVOCATIONS]))
    for start in range(0, len(records), 10_000):
        await store.insert_many(MAIN, REVOCATIONS, records[start : start + 10_000])
    await store.close()
