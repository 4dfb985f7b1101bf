"""Records of deleted projects, which every service has to learn of. They are kept for good.

The record is written before the project is closed and counts once it is. So a deletion that is cut off, anywhere, is
finished by whoever finds it; and a project that turned out to be the last one, and stays, was never published.
"""

import re
from contextlib import suppress

from core.audit import changes as audit
from core.errors import Conflict, InvalidInput, NotFound
from core.storage.ports import Cond, Op, Order
from core.tenancy import MAIN, Tenant
from services.auth.domain.records import Deletion
from services.auth.domain.tables import Tables
from services.auth.ports import Clock

AUTH = "auth"
"""Auth's own part: tokens, sessions, memberships and the record of the project."""

_SERVICE = re.compile(r"[a-z][a-z0-9]{0,31}")


class Deletions:
    def __init__(self, tables: Tables, clock: Clock) -> None:
        self._table = tables.deletions
        self._clock = clock

    async def prepare(self, tenant: Tenant, project_id: str) -> None:
        """Record that the project is about to be deleted. No service acts on it before `publish`."""
        with suppress(Conflict):  # a deletion that was cut off
            await self._table.insert(
                MAIN, Deletion(_id(tenant, project_id), tenant.slug, project_id, self._clock(), audit.actor())
            )

    async def withdraw(self, tenant: Tenant, project_id: str) -> None:
        """Withdraw a prepared deletion: the project stays."""
        await self._table.delete_where(MAIN, {"id": _id(tenant, project_id), "published": None})

    async def publish(self, tenant: Tenant, project_id: str) -> None:
        """Publish the deletion, so that every service removes the project's records. It cannot be undone."""
        await self._table.update(MAIN, _id(tenant, project_id), published=True)

    async def unpublished(self, seconds: float) -> list[Deletion]:
        """Deletions that were prepared longer ago than that and not published: they were interrupted."""
        where = {"published": None, "createdAt": Cond(Op.LT, self._clock() - seconds)}
        return [each async for each in self._table.scan(MAIN, where)]

    async def pending(self, service: str, page_size: int = 0, page_token: str = "") -> tuple[list[Deletion], str]:
        """Published deletions that the service has not acknowledged, oldest first, and the token of the next page."""
        where = {"published": True, _field(service): None}
        return await self._table.page(
            MAIN, where, order=Order(descending=False), page_size=page_size, page_token=page_token
        )

    async def acknowledge(self, service: str, tenant: str, project_id: str) -> None:
        """Raises NotFound."""
        if await self._table.set_fields(MAIN, f"{tenant}/{project_id}", {_field(service): True}) is None:
            raise NotFound("There is no such deleted project.", field="project")


def _id(tenant: Tenant, project_id: str) -> str:
    return f"{tenant.slug}/{project_id}"


def _field(service: str) -> str:
    """The field of the record that holds the service's acknowledgement. Raises InvalidInput."""
    if not _SERVICE.fullmatch(service):
        raise InvalidInput("A service's name is 1 to 32 of a-z and 0-9 and begins with a letter.", field="service")
    return f"doneBy{service.capitalize()}"
