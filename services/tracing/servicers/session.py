"""SessionService."""

import time
from collections.abc import Callable

from google.api.httpbody_pb2 import HttpBody

from core.context import identity
from core.offload import in_turns, offload_request
from core.rpc.call import CallContext
from portico.tracing.v1 import session_service_pb2 as pb
from portico.tracing.v1 import session_service_pb2_grpc
from services.tracing import mapping, mapping_json
from services.tracing.domain import custom
from services.tracing.domain.permissions import check_whole_tenant
from services.tracing.domain.records import Patch
from services.tracing.domain.retention import Retention
from services.tracing.domain.sessions import Sessions
from services.tracing.ports import Written
from services.tracing.servicers.spans import SpanReader

JSON = "application/json"


class SessionServicer(session_service_pb2_grpc.SessionServiceServicer):
    def __init__(self, sessions: Sessions, retention: Retention, spans: SpanReader, max_mb: int) -> None:
        self._sessions = sessions
        self._retention = retention
        self._spans = spans
        self._max_mb = max_mb

    async def IngestSession(self, request: pb.IngestSessionRequest, context: CallContext) -> HttpBody:
        sender = mapping.sender(identity())
        written = await self._write(request.body, context, lambda body: custom.ingested(body, sender))
        return _json(mapping_json.ingested(written.session, written.events))

    async def StartSession(self, request: pb.StartSessionRequest, context: CallContext) -> HttpBody:
        id, sender = request.session_id, mapping.sender(identity())
        written = await self._write(request.body, context, lambda body: custom.started(id, body, sender, time.time()))
        return _json(mapping_json.started(written.session))

    async def AppendEvent(self, request: pb.AppendEventRequest, context: CallContext) -> HttpBody:
        id = request.session_id
        written = await self._write(request.body, context, lambda body: custom.appended(id, body))
        return _json(mapping_json.appended(written.session, written.event_id))

    async def EndSession(self, request: pb.EndSessionRequest, context: CallContext) -> HttpBody:
        id = request.session_id
        written = await self._write(request.body, context, lambda body: custom.ended(id, body))
        return _json(mapping_json.ended(written.session))

    async def ExportTraces(self, request: pb.ExportTracesRequest, context: CallContext) -> HttpBody:
        return await self._spans.http(request.body, context.header("content-encoding"))

    async def ListSessions(self, request: pb.ListSessionsRequest, context: CallContext) -> pb.ListSessionsResponse:
        project, filter = identity().project, mapping.session_filter(request)
        limit = mapping.session_limit(request.page_size or request.limit)
        after = mapping.position(request.page_token, project, filter)
        page = await self._sessions.list(project, filter, limit, after)
        return pb.ListSessionsResponse(
            sessions=await in_turns(mapping.session, page.sessions),
            next_page_token=mapping.page_token(page.after, project, filter),
        )

    async def GetSession(self, request: pb.GetSessionRequest, context: CallContext) -> pb.GetSessionResponse:
        project, id = identity().project, request.session_id
        session = await self._sessions.get(project, id)
        content = request.include_event_content or not request.HasField("include_event_content")
        page = await self._sessions.events(project, id, mapping.event_limit(request.page_size), None, content=content)
        return pb.GetSessionResponse(
            session=mapping.session(session),
            events=await in_turns(mapping.event, page.events),
            next_page_token=mapping.page_token(page.after, project, id),
        )

    async def ListEvents(self, request: pb.ListEventsRequest, context: CallContext) -> pb.ListEventsResponse:
        project, id = identity().project, request.session_id
        after = mapping.position(request.page_token, project, id)
        limit = mapping.event_limit(request.page_size)
        page = await self._sessions.events(project, id, limit, after, content=request.include_event_content)
        return pb.ListEventsResponse(
            events=await in_turns(mapping.event, page.events),
            next_page_token=mapping.page_token(page.after, project, id),
        )

    async def GetEvent(self, request: pb.GetEventRequest, context: CallContext) -> pb.GetEventResponse:
        found = await self._sessions.event(identity().project, request.session_id, request.event_id, request.type)
        return pb.GetEventResponse(event=mapping.event(found))

    async def DeleteSession(self, request: pb.DeleteSessionRequest, context: CallContext) -> pb.DeleteSessionResponse:
        await self._sessions.delete(identity().project, request.session_id)
        return pb.DeleteSessionResponse(success=True)

    async def ListThreads(self, request: pb.ListThreadsRequest, context: CallContext) -> pb.ListThreadsResponse:
        project, filter = identity().project, mapping.thread_filter(request)
        limit = mapping.session_limit(request.page_size or request.limit, "limit")
        skip = request.skip or mapping.skipped(request.page_token, project, filter)
        threads, total = await self._sessions.threads(project, filter, limit, skip)
        return pb.ListThreadsResponse(
            threads=await in_turns(mapping.thread, threads),
            total=total,
            next_page_token=mapping.skip_token(skip + limit, project, filter) if skip + limit < total else "",
        )

    async def GetThread(self, request: pb.GetThreadRequest, context: CallContext) -> pb.GetThreadResponse:
        thread, sessions = await self._sessions.thread(identity().project, request.thread_id)
        return pb.GetThreadResponse(thread=mapping.thread(thread), sessions=await in_turns(mapping.session, sessions))

    async def ListAgents(self, request: pb.ListAgentsRequest, context: CallContext) -> pb.ListAgentsResponse:
        project, filter = identity().project, mapping.agent_filter(request)
        limit = mapping.session_limit(request.page_size)
        skip = mapping.skipped(request.page_token, project, filter)
        agents = await self._sessions.agents(project, filter, limit + 1, skip)
        return pb.ListAgentsResponse(
            agents=await in_turns(mapping.agent, agents[:limit]),
            next_page_token=mapping.skip_token(skip + limit, project, filter) if len(agents) > limit else "",
        )

    async def GetTracingSettings(
        self, request: pb.GetTracingSettingsRequest, context: CallContext
    ) -> pb.GetTracingSettingsResponse:
        days = await self._retention.days(identity().tenant)
        return pb.GetTracingSettingsResponse(settings=pb.TracingSettings(retention_days=days))

    async def UpdateTracingSettings(
        self, request: pb.UpdateTracingSettingsRequest, context: CallContext
    ) -> pb.UpdateTracingSettingsResponse:
        caller = identity()
        check_whole_tenant(caller)
        if request.HasField("retention_days"):
            await self._retention.set_days(caller.tenant, request.retention_days)
        days = await self._retention.days(caller.tenant)
        return pb.UpdateTracingSettingsResponse(settings=pb.TracingSettings(retention_days=days))

    async def _write(self, body: HttpBody, context: CallContext, make: Callable[[mapping_json.Body], Patch]) -> Written:
        data, coding = body.data, context.header("content-encoding")
        patch = await offload_request(
            lambda: make(mapping_json.read(data, coding, self._max_mb)), len(data), above=mapping_json.LARGE_BODY_BYTES
        )
        (written,) = await self._sessions.write(identity().project, [patch])
        return written


def _json(data: bytes) -> HttpBody:
    return HttpBody(content_type=JSON, data=data)
