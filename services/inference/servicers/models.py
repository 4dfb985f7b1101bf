"""ModelService."""

from collections.abc import Iterable

from core import context as request_context
from core.context import Identity
from core.errors import InvalidInput, NotFound, PermissionDenied
from core.offload import in_turns
from core.permissions import allows
from core.providers.records import Provider
from core.rpc.call import CallContext
from core.tenancy import Project
from portico.inference.v1 import model_service_pb2 as pb
from portico.inference.v1.model_service_pb2_grpc import ModelServiceServicer
from portico.inference.v1.provider_service_pb2 import Provider as ProviderMessage
from services.inference import mapping
from services.inference.domain.catalogue.model_room import ModelRoom
from services.inference.domain.catalogue.models import LLM, Model, ModelFilter, Models
from services.inference.domain.catalogue.providers import ModelProviders
from services.inference.mapping import provider_message

MAX_INCLUDED_BYTES = 8 * 1024 * 1024
"""Most bytes of the providers that stand beside a page of models."""
_SEE_PROVIDERS = "models:read"


class ModelServicer(ModelServiceServicer):
    """The servicer of ModelService."""

    def __init__(self, models: Models, providers: ModelProviders, room: ModelRoom) -> None:
        self._models = models
        self._room = room
        self._providers = providers

    async def ListModels(self, request: pb.ListModelsRequest, context: CallContext) -> pb.ListModelsResponse:
        identity = request_context.identity()
        if request.include_providers:
            _may_see_providers(identity)
        wanted = ModelFilter(request.category, request.provider_key, request.provider_driver)
        page = await self._models.list(identity.project, wanted, size=request.page_size, token=request.page_token)
        drivers = {key: each.driver for key, each in page.providers.items()}
        usable = [each for each in sorted(page.models, key=_chat_first) if page.usable(each)]
        return pb.ListModelsResponse(
            object="list",
            data=await in_turns(mapping.openai_model, usable),
            models=await in_turns(
                lambda each: mapping.model_message(each, drivers.get(each.provider_key, "")), page.models
            ),
            providers=await _included(page.providers.values()) if request.include_providers else (),
            next_page_token=page.next_token,
        )

    async def GetModel(self, request: pb.GetModelRequest, context: CallContext) -> pb.GetModelResponse:
        project = request_context.identity().project
        model = await self._models.get(project, request.id)
        return pb.GetModelResponse(
            id=model.key,
            object="model",
            created=int(model.created_at),
            owned_by=model.provider_key,
            model=await self._message(project, model),
        )

    async def CreateModel(self, request: pb.CreateModelRequest, context: CallContext) -> pb.CreateModelResponse:
        project = request_context.identity().project
        async with self._room.one_more(project):
            model, provider = await self._models.create(project, mapping.new_model(request))
        return pb.CreateModelResponse(model=mapping.model_message(model, provider.driver if provider else ""))

    async def CreateDynamicModel(
        self, request: pb.CreateDynamicModelRequest, context: CallContext
    ) -> pb.CreateDynamicModelResponse:
        project = request_context.identity().project
        async with self._room.one_more(project):
            model, _ = await self._models.create(project, mapping.new_dynamic_model(request))
        return pb.CreateDynamicModelResponse(model=mapping.model_message(model, ""))

    async def UpdateModel(self, request: pb.UpdateModelRequest, context: CallContext) -> pb.UpdateModelResponse:
        project = request_context.identity().project
        model = await self._models.update(project, request.id, mapping.model_changes(request))
        return pb.UpdateModelResponse(model=await self._message(project, model))

    async def DeleteModel(self, request: pb.DeleteModelRequest, context: CallContext) -> pb.DeleteModelResponse:
        await self._models.delete(request_context.identity().project, request.id)
        return pb.DeleteModelResponse(success=True)

    async def _message(self, project: Project, model: Model) -> pb.Model:
        if not model.provider_key:  # a dynamic model
            return mapping.model_message(model, "")
        try:
            driver = (await self._providers.get(project, model.provider_key)).driver
        except NotFound:  # removed by somebody at the same moment as the model was made
            driver = ""
        return mapping.model_message(model, driver)


async def _included(providers: Iterable[Provider]) -> list[ProviderMessage]:
    """The providers beside models, if asked for. Raises InvalidInput where they are too large to stand beside
    models."""
    messages = await in_turns(provider_message, providers)
    if sum(each.ByteSize() for each in messages) > MAX_INCLUDED_BYTES:
        raise InvalidInput(
            "The project's providers are too large for includeProviders. List them with GET /v1/models/providers.",
            reason="ANSWER_TOO_LARGE",
            field="includeProviders",
        )
    return messages


def _chat_first(model: Model) -> bool:
    """Clients that take the first model there is want to chat with it."""
    return model.category != LLM


def _may_see_providers(identity: Identity) -> None:
    if not allows(identity.scopes, _SEE_PROVIDERS):
        raise PermissionDenied(
            f"includeProviders needs the scope {_SEE_PROVIDERS}.",
            reason="MISSING_SCOPE",
            field="includeProviders",
            metadata={"scope": _SEE_PROVIDERS},
        )
