"""The list of deleted projects, which auth keeps, and whose records the service then removes.

Auth lists what this service has yet to acknowledge, so nothing is missed while either is away: a project is
acknowledged when its removal is a durable job here. The end of a project ends its tokens, so the list is asked for when
tokens were revoked; and from time to time.
"""

import time
from collections.abc import Callable

import grpc

from core import logs
from core.audit.records import Actor
from core.config import Secret
from core.errors import PorticoError
from core.project_removal import Removals
from core.rpc.channel import open_channel
from core.rpc.headers import SERVICE_SECRET
from core.storage.table import from_document
from core.tasks import Tasks
from core.tenancy import Project, Tenant
from portico.auth.v1 import trust_service_pb2 as pb
from portico.auth.v1 import trust_service_pb2_grpc

log = logs.get(__name__)

_LOOK_SECONDS = 1.0
"""Time in which many revocations are answered with one call."""
_POLL_SECONDS = 60.0
_CALL_SECONDS = 5.0
_PAGE = 100


class RemovalFeed:
    def __init__(
        self,
        service: str,
        address: str,
        secret: Secret,
        removals: Removals,
        tasks: Tasks,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service
        self._metadata = ((SERVICE_SECRET, secret.reveal()),)
        self._removals = removals
        self._tasks = tasks
        self._channel = open_channel(address)
        self._auth = trust_service_pb2_grpc.TrustServiceStub(self._channel)
        self._clock = clock
        self._due = clock()
        """Monotonic seconds of the next call."""

    def start(self) -> None:
        self._tasks.every("remove deleted projects", _LOOK_SECONDS, self._poll_when_due)

    def notice(self) -> None:
        """Take note that tokens were revoked."""
        self._due = self._clock()

    async def close(self) -> None:
        await self._channel.close()

    async def _poll_when_due(self) -> None:
        """Ask auth and start the removals, unless there is no reason to. What fails is tried again soon."""
        now = self._clock()
        if now < self._due:
            return
        self._due = now + _POLL_SECONDS
        try:
            while projects := await self._listed():
                for each in projects:
                    await self._begin(each)
        except grpc.aio.AioRpcError as error:
            self._due = now
            log.debug("deleted projects not asked for", code=error.code().name)
        except PorticoError as error:
            self._due = now
            log.warning("deleted projects not removed yet", reason=error.reason)

    async def _listed(self) -> list[pb.DeletedProject]:
        """List deleted projects. Acknowledged ones are no longer listed, so the first page suffices."""
        request = pb.ListDeletedProjectsRequest(service=self._service, page_size=_PAGE)
        answer = await self._auth.ListDeletedProjects(request, metadata=self._metadata, timeout=_CALL_SECONDS)
        return list(answer.projects)

    async def _begin(self, deleted: pb.DeletedProject) -> None:
        project = Project(Tenant(deleted.tenant), deleted.project)
        await self._removals.begin(project, from_document(Actor, dict(deleted.actor)))
        request = pb.AcknowledgeDeletedProjectRequest(
            service=self._service, tenant=deleted.tenant, project=deleted.project
        )
        await self._auth.AcknowledgeDeletedProject(request, metadata=self._metadata, timeout=_CALL_SECONDS)
