"""RetrievalService."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import orjson
from google.api.httpbody_pb2 import HttpBody

from core import context as request_context
from core.errors import PorticoError
from core.rpc.call import CallContext
from core.rpc.error_formats import ErrorContent, openai_body
from core.rpc.headers import EVENT_STREAM
from portico.rag.v1 import retrieval_service_pb2 as pb
from portico.rag.v1 import retrieval_service_pb2_grpc
from services.rag import mapping_retrieval as mapping
from services.rag.domain.knowledge.modules import Modules
from services.rag.domain.retrieval import requests
from services.rag.domain.retrieval.answers import Answer, Answers
from services.rag.domain.retrieval.query_log import QueryLog
from services.rag.domain.retrieval.retriever import Retriever

_JSON, _EVENTS = "application/json", "text/event-stream"
_DONE = b"data: [DONE]\n\n"


class RetrievalServicer(retrieval_service_pb2_grpc.RetrievalServiceServicer):
    def __init__(self, modules: Modules, retriever: Retriever, answers: Answers, log: QueryLog) -> None:
        self._modules = modules
        self._retriever = retriever
        self._answers = answers
        self._log = log

    async def QueryModule(self, request: pb.QueryModuleRequest, context: CallContext) -> HttpBody:
        project = request_context.identity().project
        result = await self._retriever.query(project, request.module_key, requests.query(request.body.data))
        return _json({"result": mapping.result(result)})

    async def AnswerQuestion(self, request: pb.AnswerQuestionRequest, context: CallContext) -> AsyncIterator[HttpBody]:
        project = request_context.identity().project
        asked = requests.answer(request.body.data)
        answer = await self._answers.answer(project, request.module_key, asked)
        async with aclosing(answer.deltas):
            if asked.stream:
                async for message in _events(answer, context):
                    yield message
            else:
                async for _ in answer.deltas:
                    pass
                yield _json({"answer": mapping.answer(answer), "result": mapping.result(answer.result)})

    async def ListModuleQueries(
        self, request: pb.ListModuleQueriesRequest, context: CallContext
    ) -> pb.ListModuleQueriesResponse:
        project = request_context.identity().project
        module = await self._modules.get(project, request.module_key)
        records, token = await self._log.page(project, module.id, request.page_size, request.page_token)
        return pb.ListModuleQueriesResponse(queries=map(mapping.query, records), next_page_token=token)

    async def GetModuleQueryStats(
        self, request: pb.GetModuleQueryStatsRequest, context: CallContext
    ) -> pb.GetModuleQueryStatsResponse:
        project = request_context.identity().project
        module = await self._modules.get(project, request.module_key)
        return mapping.stats(await self._log.stats(project, module.id, request.days))


async def _events(answer: Answer, context: CallContext) -> AsyncIterator[HttpBody]:
    """The events of an answer. What fails before the first text is an error of the call."""
    first = await anext(answer.deltas, "")
    for name, value in EVENT_STREAM:
        context.add_header(name, value)
    yield _event({"type": "answer.started", "result": mapping.result(answer.result)})
    yield _event({"type": "answer.delta", "text": first})
    try:
        async for text in answer.deltas:
            yield _event({"type": "answer.delta", "text": text})
    except PorticoError as error:
        request = request_context.current()
        yield _event(openai_body(ErrorContent.of(error, "" if request is None else request.request_id)))
    else:
        yield _event({"type": "answer.completed", "answer": mapping.answer(answer)})
    yield HttpBody(content_type=_EVENTS, data=_DONE)


def _event(content: dict[str, Any]) -> HttpBody:
    return HttpBody(content_type=_EVENTS, data=b"data: %b\n\n" % orjson.dumps(content))


def _json(content: dict[str, Any]) -> HttpBody:
    return HttpBody(content_type=_JSON, data=orjson.dumps(content))
