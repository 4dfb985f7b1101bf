"""Conversion between the contract's messages and the domain's values: pure functions. Chat has a file of its own."""

from core import fields
from core.errors import InvalidInput
from core.providers.records import Provider
from core.rpc.provider_messages import driver_fields, provider_fields
from core.rpc.values import seconds_of, small_json_of, struct_of, timestamp_of
from core.storage.ports import Document
from portico.common.v1 import usage_pb2
from portico.inference.v1 import model_service_pb2 as model_pb
from portico.inference.v1 import provider_service_pb2 as provider_pb
from portico.inference.v1 import usage_service_pb2 as usage_service_pb
from services.inference import mapping_routing
from services.inference.domain.catalogue.drivers import DRIVERS, ModelDriver
from services.inference.domain.catalogue.model_settings import MAX_PARAMS, ModelCapabilities, ModelSettings
from services.inference.domain.catalogue.models import EMBEDDING, LLM, Model, ModelChanges, NewModel
from services.inference.domain.catalogue.prices import Pricing
from services.inference.domain.usage.metering import NANOS
from services.inference.domain.usage.reports import Row, UsageFilter
from services.inference.domain.usage.tokens import TokenUsage


def provider_message(provider: Provider) -> provider_pb.Provider:
    message = provider_pb.Provider(**provider_fields(provider))
    if (driver := DRIVERS.get(provider.driver)) is not None:
        message.capabilities.categories.extend(driver.categories)
    return message


def driver_message(driver: ModelDriver) -> provider_pb.Driver:
    message = provider_pb.Driver(**driver_fields(driver))
    message.capabilities.categories.extend(driver.categories)
    return message


def model_message(model: Model, driver: str) -> model_pb.Model:
    return model_pb.Model(
        id=model.id,
        record_id=model.id,
        key=model.key,
        name=model.name,
        description=model.description,
        category=model.category,
        provider_key=model.provider_key,
        provider_driver=driver,
        model_id=model.model_id,
        settings=_settings_message(model.settings),
        pricing=_pricing_message(model.pricing),
        capabilities=_capabilities_message(model.capabilities),
        metadata=struct_of(model.metadata),
        created_at=timestamp_of(model.created_at),
        updated_at=timestamp_of(model.updated_at),
        input_guardrail_key=model.input_guardrail_key,
        output_guardrail_key=model.output_guardrail_key,
        pii_policy_key=model.pii_policy_key,
    )


def openai_model(model: Model) -> model_pb.OpenAIModel:
    can = model.capabilities
    embeds = model.category == EMBEDDING
    return model_pb.OpenAIModel(
        id=model.key,
        object="model",
        created=int(model.created_at),
        owned_by=model.provider_key,
        name=model.name,
        category=model.category,
        context_length=can.context_length,
        max_output_tokens=can.max_output_tokens,
        supports_image_input=can.supports_image_input,
        supports_reasoning=can.supports_reasoning,
        supports_structured_outputs=can.supports_structured_outputs,
        supports_tool_calls=can.supports_tool_calls,
        architecture=model_pb.ModelArchitecture(
            input_modalities=["text", "image"] if can.supports_image_input else ["text"],
            output_modalities=["embedding" if embeds else "text"],
        ),
    )


def new_model(request: model_pb.CreateModelRequest) -> NewModel:
    return NewModel(
        name=request.name,
        category=request.category,
        provider_key=request.provider_key,
        model_id=request.model_id,
        key=request.key,
        description=request.description,
        settings=_settings(request.settings),
        pricing=_pricing(request.pricing),
        capabilities=_capabilities(request.capabilities),
        metadata=small_json_of(request.metadata, "metadata"),
        input_guardrail_key=request.input_guardrail_key,
        output_guardrail_key=request.output_guardrail_key,
        pii_policy_key=request.pii_policy_key,
    )


def new_dynamic_model(request: model_pb.CreateDynamicModelRequest) -> NewModel:
    """Raises InvalidInput where it says nothing of how to choose."""
    if not request.settings.HasField("dynamic"):
        raise InvalidInput("settings.dynamic must be given.", field="settings.dynamic")
    return NewModel(
        name=request.name,
        category=LLM,
        provider_key="",
        model_id="",
        key=request.key,
        description=request.description,
        settings=_settings(request.settings),
        capabilities=_capabilities(request.capabilities),
        metadata=small_json_of(request.metadata, "metadata"),
    )


def model_changes(request: model_pb.UpdateModelRequest) -> ModelChanges:
    return ModelChanges(
        name=request.name if request.HasField("name") else None,
        provider_key=request.provider_key if request.HasField("provider_key") else None,
        model_id=request.model_id if request.HasField("model_id") else None,
        description=request.description if request.HasField("description") else None,
        settings=_settings(request.settings) if request.HasField("settings") else None,
        pricing=_pricing(request.pricing) if request.HasField("pricing") else None,
        capabilities=_capabilities(request.capabilities) if request.HasField("capabilities") else None,
        metadata=small_json_of(request.metadata, "metadata") if request.HasField("metadata") else None,
        input_guardrail_key=request.input_guardrail_key if request.HasField("input_guardrail_key") else None,
        output_guardrail_key=request.output_guardrail_key if request.HasField("output_guardrail_key") else None,
        pii_policy_key=request.pii_policy_key if request.HasField("pii_policy_key") else None,
    )


def _settings(message: model_pb.ModelSettings) -> ModelSettings:
    fields.count("settings.unsupportedParams", message.unsupported_params, MAX_PARAMS)
    return ModelSettings(
        request_defaults=small_json_of(message.request_defaults, "settings.requestDefaults"),
        extra_body=small_json_of(message.extra_body, "settings.extraBody"),
        unsupported_params=tuple(message.unsupported_params),
        disable_streaming_with_tools=message.disable_streaming_with_tools,
        timeout=message.timeout_seconds,
        routing=mapping_routing.routing(message.routing) if message.HasField("routing") else None,
        dynamic=mapping_routing.dynamic(message.dynamic) if message.HasField("dynamic") else None,
    )


def _settings_message(settings: ModelSettings) -> model_pb.ModelSettings:
    routing, dynamic = settings.routing, settings.dynamic
    return model_pb.ModelSettings(
        request_defaults=struct_of(settings.request_defaults),
        extra_body=struct_of(settings.extra_body),
        unsupported_params=settings.unsupported_params,
        disable_streaming_with_tools=settings.disable_streaming_with_tools,
        timeout_seconds=settings.timeout,
        routing=None if routing is None else mapping_routing.routing_message(routing),
        dynamic=None if dynamic is None else mapping_routing.dynamic_message(dynamic),
    )


def _pricing(message: model_pb.ModelPricing) -> Pricing:
    return Pricing(
        currency=message.currency or "USD",
        input=message.input_token_per_1m,
        output=message.output_token_per_1m,
        cached=message.cached_token_per_1m if message.HasField("cached_token_per_1m") else None,
        cache_write=message.cache_write_token_per_1m if message.HasField("cache_write_token_per_1m") else None,
        search=message.search_per_1k,
    )


def _pricing_message(pricing: Pricing) -> model_pb.ModelPricing:
    return model_pb.ModelPricing(
        currency=pricing.currency,
        input_token_per_1m=pricing.input,
        output_token_per_1m=pricing.output,
        cached_token_per_1m=pricing.cached,
        cache_write_token_per_1m=pricing.cache_write,
        search_per_1k=pricing.search,
    )


def _capabilities(message: model_pb.ModelCapabilities) -> ModelCapabilities:
    return ModelCapabilities(**{field.name: getattr(message, field.name) for field in message.DESCRIPTOR.fields})


def _capabilities_message(can: ModelCapabilities) -> model_pb.ModelCapabilities:
    return model_pb.ModelCapabilities(
        context_length=can.context_length,
        max_output_tokens=can.max_output_tokens,
        supports_image_input=can.supports_image_input,
        supports_reasoning=can.supports_reasoning,
        supports_structured_outputs=can.supports_structured_outputs,
        supports_tool_calls=can.supports_tool_calls,
    )


def usage_message(usage: TokenUsage) -> usage_pb2.TokenUsage:
    return usage_pb2.TokenUsage(
        input_tokens=usage.input,
        output_tokens=usage.output,
        cached_input_tokens=usage.cached_input,
        reasoning_tokens=usage.reasoning,
        total_tokens=usage.total,
        estimated=usage.estimated,
        cache_write_input_tokens=usage.cache_write or None,
    )


def totals_filter(request: usage_service_pb.GetUsageRequest) -> UsageFilter:
    span: dict[str, float] = {}
    if request.HasField("from"):
        span["start"] = seconds_of(getattr(request, "from"))
    if request.HasField("to"):
        span["end"] = seconds_of(request.to)
    return UsageFilter(model=request.model, token_id=request.token_id, **span)  # type: ignore[arg-type]  # times only


def records_filter(request: usage_service_pb.ListUsageRecordsRequest) -> UsageFilter:
    return UsageFilter(model=request.model, token_id=request.token_id, status=request.status)


def row_message(row: Row) -> usage_service_pb.UsageRow:
    sums = row.sums
    return usage_service_pb.UsageRow(
        group=row.group,
        requests=row.requests,
        errors=row.errors,
        cancelled=row.cancelled,
        input_tokens=sums["inputTokens"],
        output_tokens=sums["outputTokens"],
        cached_input_tokens=sums["cachedInputTokens"],
        reasoning_tokens=sums["reasoningTokens"],
        total_tokens=sums["totalTokens"],
        cost=sums["costNanos"] / NANOS,
        currency=row.currency,
        mean_latency_ms=row.mean_latency_ms,
    )


def record_message(record: Document) -> usage_service_pb.UsageRecord:
    return usage_service_pb.UsageRecord(
        id=record["id"],
        created_at=timestamp_of(record["createdAt"]),
        request_id=record["requestId"],
        project_id=record.get("project", ""),
        token_id=record["tokenId"],
        user_id=record["userId"],
        model=record["model"],
        model_id=record["modelId"],
        provider_key=record["providerKey"],
        operation=record["operation"],
        status=record["status"],
        error_reason=record["errorReason"],
        streamed=record["streamed"],
        latency_ms=record["latencyMs"],
        first_byte_ms=record["firstByteMs"],
        usage=usage_pb2.TokenUsage(
            input_tokens=record["inputTokens"],
            output_tokens=record["outputTokens"],
            cached_input_tokens=record["cachedInputTokens"],
            reasoning_tokens=record["reasoningTokens"],
            total_tokens=record["totalTokens"],
            estimated=record["estimated"],
            cache_write_input_tokens=record.get("cacheWriteInputTokens") or None,
        ),
        finish_reason=record["finishReason"],
        cost=record["costNanos"] / NANOS,
        currency=record["currency"],
        search_units=record.get("searchUnits", 0.0),
        attempts=record.get("attempts", 1),
        failed_attempts=[
            usage_service_pb.FailedAttempt(
                provider_key=each["providerKey"], model_id=each["modelId"], reason=each["reason"]
            )
            for each in record.get("failedAttempts", ())
        ],
        decision=mapping_routing.decision_message(decision) if (decision := record.get("decision")) else None,
    )
