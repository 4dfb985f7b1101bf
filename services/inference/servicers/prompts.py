"""PromptService."""

from core import context as request_context
from core.offload import in_turns, offload
from core.rpc.call import CallContext
from core.rpc.values import json_of
from core.tenancy import Project
from portico.inference.v1 import prompt_service_pb2 as pb
from portico.inference.v1.prompt_service_pb2_grpc import PromptServiceServicer
from services.inference import mapping_prompts as mapping
from services.inference.domain.prompts.comments import Comments
from services.inference.domain.prompts.comparison import compare_lines, compare_metadata
from services.inference.domain.prompts.prompts import Prompts


class PromptServicer(PromptServiceServicer):
    """The servicer of PromptService."""

    def __init__(self, prompts: Prompts, comments: Comments) -> None:
        self._prompts = prompts
        self._comments = comments

    async def ListPrompts(self, request: pb.ListPromptsRequest, context: CallContext) -> pb.ListPromptsResponse:
        prompts, following = await self._prompts.list(
            _project(), request.search, size=request.page_size, token=request.page_token
        )
        return pb.ListPromptsResponse(
            prompts=await in_turns(mapping.prompt_message, prompts), next_page_token=following
        )

    async def GetPrompt(self, request: pb.GetPromptRequest, context: CallContext) -> pb.GetPromptResponse:
        prompt, version = await self._prompts.resolve(_project(), request.key, mapping.wanted_of(request))
        return pb.GetPromptResponse(
            prompt=mapping.prompt_message(prompt, version), resolved_version=mapping.version_message(prompt, version)
        )

    async def CreatePrompt(self, request: pb.CreatePromptRequest, context: CallContext) -> pb.CreatePromptResponse:
        prompt = await self._prompts.create(_project(), mapping.new_prompt(request), by=_caller())
        return pb.CreatePromptResponse(prompt=mapping.prompt_message(prompt))

    async def UpdatePrompt(self, request: pb.UpdatePromptRequest, context: CallContext) -> pb.UpdatePromptResponse:
        changes = mapping.prompt_changes(request)
        prompt = await self._prompts.update(_project(), request.key, changes, by=_caller())
        return pb.UpdatePromptResponse(prompt=mapping.prompt_message(prompt))

    async def DeletePrompt(self, request: pb.DeletePromptRequest, context: CallContext) -> pb.DeletePromptResponse:
        await self._prompts.delete(_project(), request.key)
        return pb.DeletePromptResponse(success=True)

    async def RenderPrompt(self, request: pb.RenderPromptRequest, context: CallContext) -> pb.RenderPromptResponse:
        data = await offload(lambda: json_of(request.data, "data"), request.data.ByteSize())
        rendered = await self._prompts.render(_project(), request.key, mapping.wanted_of(request), data)
        return pb.RenderPromptResponse(
            prompt=mapping.rendered_message(rendered, request.environment), rendered=rendered.text
        )

    async def RenderPromptOverRest(
        self, request: pb.RenderPromptOverRestRequest, context: CallContext
    ) -> pb.RenderPromptOverRestResponse:
        body = request.body.data
        data = await offload(lambda: mapping.data_of(body), len(body))
        rendered = await self._prompts.render(_project(), request.key, mapping.wanted_of(request), data)
        return pb.RenderPromptOverRestResponse(
            prompt=mapping.rendered_message(rendered, request.environment), rendered=rendered.text
        )

    async def ListPromptVersions(
        self, request: pb.ListPromptVersionsRequest, context: CallContext
    ) -> pb.ListPromptVersionsResponse:
        prompt, versions, following = await self._prompts.versions(
            _project(), request.key, size=request.page_size, token=request.page_token
        )
        return pb.ListPromptVersionsResponse(
            prompt=mapping.reference_message(prompt),
            versions=await in_turns(lambda each: mapping.version_message(prompt, each), versions),
            next_page_token=following,
        )

    async def SetCurrentPromptVersion(
        self, request: pb.SetCurrentPromptVersionRequest, context: CallContext
    ) -> pb.SetCurrentPromptVersionResponse:
        prompt = await self._prompts.set_current(_project(), request.key, request.version_id)
        return pb.SetCurrentPromptVersionResponse(prompt=mapping.prompt_message(prompt))

    async def GetPromptDeployments(
        self, request: pb.GetPromptDeploymentsRequest, context: CallContext
    ) -> pb.GetPromptDeploymentsResponse:
        prompt = await self._prompts.get(_project(), request.key)
        return pb.GetPromptDeploymentsResponse(
            prompt=mapping.reference_message(prompt), deployments=mapping.deployments_message(prompt)
        )

    async def DeployPrompt(self, request: pb.DeployPromptRequest, context: CallContext) -> pb.DeployPromptResponse:
        prompt = await self._prompts.deploy(
            _project(),
            request.key,
            request.action,
            request.environment,
            request.version_id,
            request.note,
            by=_caller(),
        )
        return pb.DeployPromptResponse(
            prompt=mapping.reference_message(prompt), deployments=mapping.deployments_message(prompt)
        )

    async def ComparePromptVersions(
        self, request: pb.ComparePromptVersionsRequest, context: CallContext
    ) -> pb.ComparePromptVersionsResponse:
        project = _project()
        prompt = await self._prompts.get(project, request.key)
        old = await self._prompts.version(project, prompt, request.from_version_id, "fromVersionId")
        new = await self._prompts.version(project, prompt, request.to_version_id, "toVersionId")
        size = len(old.template) + len(new.template)
        lines = await offload(lambda: compare_lines(old.template, new.template), size, above=4096)
        comments = await self._comments.of_versions(project, prompt, (old.id, new.id))
        return pb.ComparePromptVersionsResponse(
            prompt=mapping.reference_message(prompt),
            comparison=mapping.comparison_message(prompt, (old, new), lines, compare_metadata(old, new), comments),
        )

    async def ListPromptComments(
        self, request: pb.ListPromptCommentsRequest, context: CallContext
    ) -> pb.ListPromptCommentsResponse:
        comments, following = await self._comments.list(
            _project(), request.key, size=request.page_size, token=request.page_token
        )
        return pb.ListPromptCommentsResponse(
            comments=[mapping.comment_message(each) for each in comments], next_page_token=following
        )

    async def CreatePromptComment(
        self, request: pb.CreatePromptCommentRequest, context: CallContext
    ) -> pb.CreatePromptCommentResponse:
        comment = await self._comments.create(
            _project(), request.key, request.content, request.version_id, by=_caller()
        )
        return pb.CreatePromptCommentResponse(comment=mapping.comment_message(comment))

    async def DeletePromptComment(
        self, request: pb.DeletePromptCommentRequest, context: CallContext
    ) -> pb.DeletePromptCommentResponse:
        await self._comments.delete(_project(), request.key, request.comment_id)
        return pb.DeletePromptCommentResponse(success=True)


def _project() -> Project:
    return request_context.identity().project


def _caller() -> str:
    return request_context.identity().subject
