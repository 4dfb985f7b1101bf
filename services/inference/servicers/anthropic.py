"""The Messages API: Anthropic's own bytes in and out."""

import re
from dataclasses import replace
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from core.errors import PorticoError
from core.rpc.call import CallContext
from core.rpc.error_formats import ErrorContent, anthropic_body
from portico.inference.v1 import anthropic_service_pb2 as pb
from portico.inference.v1.anthropic_service_pb2_grpc import AnthropicServiceServicer
from services.inference.domain.frontends.anthropic.frontend import AnthropicFrontend
from services.inference.domain.json_values import encode
from services.inference.domain.pipeline.native import NativeRequest
from services.inference.domain.pipeline.pipeline import Pipeline
from services.inference.servicers.http_chat import JSON, HasBody, HttpChat

BETA = "anthropic-beta"
_BETAS = re.compile(r"[A-Za-z0-9_.:-]{1,64}(?:\s*,\s*[A-Za-z0-9_.:-]{1,64}){0,31}")


class AnthropicServicer(HttpChat, AnthropicServiceServicer):
    """The servicer of AnthropicService."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._messages = AnthropicFrontend(_error_body)
        super().__init__(pipeline, self._messages)

    CreateMessage = HttpChat.chat

    async def read(self, request: HasBody, context: CallContext) -> NativeRequest:
        return _with_betas(await self._messages.read(request.body.data), context)

    async def CountMessageTokens(self, request: pb.CountMessageTokensRequest, context: CallContext) -> HttpBody:
        native = _with_betas(await self._messages.read(request.body.data, counting=True), context)
        count = await self._pipeline.count_tokens(native)
        return HttpBody(content_type=JSON, data=encode({"input_tokens": count}))


def _with_betas(native: NativeRequest, context: CallContext) -> NativeRequest:
    """The request with the caller's `anthropic-beta`, for a provider that speaks the format."""
    betas = context.header(BETA)
    return replace(native, headers=((BETA, betas),)) if _BETAS.fullmatch(betas) else native


def _error_body(error: PorticoError, request_id: str) -> dict[str, Any]:
    return anthropic_body(ErrorContent.of(error, request_id))
