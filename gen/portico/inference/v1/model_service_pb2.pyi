import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from portico.common.v1 import access_pb2 as _access_pb2
from portico.inference.v1 import provider_service_pb2 as _provider_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Model(_message.Message):
    __slots__ = ("id", "record_id", "key", "name", "description", "category", "provider_key", "provider_driver", "model_id", "settings", "pricing", "capabilities", "metadata", "created_at", "updated_at", "input_guardrail_key", "output_guardrail_key", "pii_policy_key")
    ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_DRIVER_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    PRICING_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    INPUT_GUARDRAIL_KEY_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_GUARDRAIL_KEY_FIELD_NUMBER: _ClassVar[int]
    PII_POLICY_KEY_FIELD_NUMBER: _ClassVar[int]
    id: str
    record_id: str
    key: str
    name: str
    description: str
    category: str
    provider_key: str
    provider_driver: str
    model_id: str
    settings: ModelSettings
    pricing: ModelPricing
    capabilities: ModelCapabilities
    metadata: _struct_pb2.Struct
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    input_guardrail_key: str
    output_guardrail_key: str
    pii_policy_key: str
    def __init__(self, id: _Optional[str] = ..., record_id: _Optional[str] = ..., key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., category: _Optional[str] = ..., provider_key: _Optional[str] = ..., provider_driver: _Optional[str] = ..., model_id: _Optional[str] = ..., settings: _Optional[_Union[ModelSettings, _Mapping]] = ..., pricing: _Optional[_Union[ModelPricing, _Mapping]] = ..., capabilities: _Optional[_Union[ModelCapabilities, _Mapping]] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., input_guardrail_key: _Optional[str] = ..., output_guardrail_key: _Optional[str] = ..., pii_policy_key: _Optional[str] = ...) -> None: ...

class ModelSettings(_message.Message):
    __slots__ = ("request_defaults", "extra_body", "unsupported_params", "disable_streaming_with_tools", "timeout_seconds", "routing", "dynamic")
    REQUEST_DEFAULTS_FIELD_NUMBER: _ClassVar[int]
    EXTRA_BODY_FIELD_NUMBER: _ClassVar[int]
    UNSUPPORTED_PARAMS_FIELD_NUMBER: _ClassVar[int]
    DISABLE_STREAMING_WITH_TOOLS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    ROUTING_FIELD_NUMBER: _ClassVar[int]
    DYNAMIC_FIELD_NUMBER: _ClassVar[int]
    request_defaults: _struct_pb2.Struct
    extra_body: _struct_pb2.Struct
    unsupported_params: _containers.RepeatedScalarFieldContainer[str]
    disable_streaming_with_tools: bool
    timeout_seconds: float
    routing: ModelRouting
    dynamic: DynamicRouting
    def __init__(self, request_defaults: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., extra_body: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., unsupported_params: _Optional[_Iterable[str]] = ..., disable_streaming_with_tools: _Optional[bool] = ..., timeout_seconds: _Optional[float] = ..., routing: _Optional[_Union[ModelRouting, _Mapping]] = ..., dynamic: _Optional[_Union[DynamicRouting, _Mapping]] = ...) -> None: ...

class ModelRouting(_message.Message):
    __slots__ = ("policy", "weight", "priority", "first_token_timeout_seconds", "targets", "shadow")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    FIRST_TOKEN_TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    policy: str
    weight: float
    priority: int
    first_token_timeout_seconds: float
    targets: _containers.RepeatedCompositeFieldContainer[ModelTarget]
    shadow: ModelShadow
    def __init__(self, policy: _Optional[str] = ..., weight: _Optional[float] = ..., priority: _Optional[int] = ..., first_token_timeout_seconds: _Optional[float] = ..., targets: _Optional[_Iterable[_Union[ModelTarget, _Mapping]]] = ..., shadow: _Optional[_Union[ModelShadow, _Mapping]] = ...) -> None: ...

class ModelTarget(_message.Message):
    __slots__ = ("provider_key", "model_id", "weight", "priority", "timeout_seconds", "first_token_timeout_seconds")
    PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    FIRST_TOKEN_TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    provider_key: str
    model_id: str
    weight: float
    priority: int
    timeout_seconds: float
    first_token_timeout_seconds: float
    def __init__(self, provider_key: _Optional[str] = ..., model_id: _Optional[str] = ..., weight: _Optional[float] = ..., priority: _Optional[int] = ..., timeout_seconds: _Optional[float] = ..., first_token_timeout_seconds: _Optional[float] = ...) -> None: ...

class ModelShadow(_message.Message):
    __slots__ = ("provider_key", "model_id", "percent")
    PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    provider_key: str
    model_id: str
    percent: float
    def __init__(self, provider_key: _Optional[str] = ..., model_id: _Optional[str] = ..., percent: _Optional[float] = ...) -> None: ...

class DynamicRouting(_message.Message):
    __slots__ = ("strategy", "default_model_key", "fallback_model_key", "rules", "decider")
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    DECIDER_FIELD_NUMBER: _ClassVar[int]
    strategy: str
    default_model_key: str
    fallback_model_key: str
    rules: _containers.RepeatedCompositeFieldContainer[DynamicRule]
    decider: DynamicDecider
    def __init__(self, strategy: _Optional[str] = ..., default_model_key: _Optional[str] = ..., fallback_model_key: _Optional[str] = ..., rules: _Optional[_Iterable[_Union[DynamicRule, _Mapping]]] = ..., decider: _Optional[_Union[DynamicDecider, _Mapping]] = ...) -> None: ...

class DynamicRule(_message.Message):
    __slots__ = ("label", "match_type", "conditions", "target_model_key")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    MATCH_TYPE_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    TARGET_MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    label: str
    match_type: str
    conditions: _containers.RepeatedCompositeFieldContainer[DynamicCondition]
    target_model_key: str
    def __init__(self, label: _Optional[str] = ..., match_type: _Optional[str] = ..., conditions: _Optional[_Iterable[_Union[DynamicCondition, _Mapping]]] = ..., target_model_key: _Optional[str] = ...) -> None: ...

class DynamicCondition(_message.Message):
    __slots__ = ("signal", "operator", "value")
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    signal: str
    operator: str
    value: _struct_pb2.Value
    def __init__(self, signal: _Optional[str] = ..., operator: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ...) -> None: ...

class DynamicDecider(_message.Message):
    __slots__ = ("model_key", "labels", "prompt_override")
    MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    model_key: str
    labels: _containers.RepeatedCompositeFieldContainer[DynamicLabel]
    prompt_override: str
    def __init__(self, model_key: _Optional[str] = ..., labels: _Optional[_Iterable[_Union[DynamicLabel, _Mapping]]] = ..., prompt_override: _Optional[str] = ...) -> None: ...

class DynamicLabel(_message.Message):
    __slots__ = ("label", "description", "target_model_key")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TARGET_MODEL_KEY_FIELD_NUMBER: _ClassVar[int]
    label: str
    description: str
    target_model_key: str
    def __init__(self, label: _Optional[str] = ..., description: _Optional[str] = ..., target_model_key: _Optional[str] = ...) -> None: ...

class ModelPricing(_message.Message):
    __slots__ = ("currency", "input_token_per_1m", "output_token_per_1m", "cached_token_per_1m", "cache_write_token_per_1m", "search_per_1k")
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKEN_PER_1M_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKEN_PER_1M_FIELD_NUMBER: _ClassVar[int]
    CACHED_TOKEN_PER_1M_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_TOKEN_PER_1M_FIELD_NUMBER: _ClassVar[int]
    SEARCH_PER_1K_FIELD_NUMBER: _ClassVar[int]
    currency: str
    input_token_per_1m: float
    output_token_per_1m: float
    cached_token_per_1m: float
    cache_write_token_per_1m: float
    search_per_1k: float
    def __init__(self, currency: _Optional[str] = ..., input_token_per_1m: _Optional[float] = ..., output_token_per_1m: _Optional[float] = ..., cached_token_per_1m: _Optional[float] = ..., cache_write_token_per_1m: _Optional[float] = ..., search_per_1k: _Optional[float] = ...) -> None: ...

class ModelCapabilities(_message.Message):
    __slots__ = ("context_length", "max_output_tokens", "supports_image_input", "supports_reasoning", "supports_structured_outputs", "supports_tool_calls")
    CONTEXT_LENGTH_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SUPPORTS_IMAGE_INPUT_FIELD_NUMBER: _ClassVar[int]
    SUPPORTS_REASONING_FIELD_NUMBER: _ClassVar[int]
    SUPPORTS_STRUCTURED_OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    SUPPORTS_TOOL_CALLS_FIELD_NUMBER: _ClassVar[int]
    context_length: int
    max_output_tokens: int
    supports_image_input: bool
    supports_reasoning: bool
    supports_structured_outputs: bool
    supports_tool_calls: bool
    def __init__(self, context_length: _Optional[int] = ..., max_output_tokens: _Optional[int] = ..., supports_image_input: _Optional[bool] = ..., supports_reasoning: _Optional[bool] = ..., supports_structured_outputs: _Optional[bool] = ..., supports_tool_calls: _Optional[bool] = ...) -> None: ...

class OpenAIModel(_message.Message):
    __slots__ = ("id", "object", "created", "owned_by", "name", "category", "context_length", "max_output_tokens", "supports_image_input", "supports_reasoning", "supports_structured_outputs", "supports_tool_calls", "architecture")
    ID_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    OWNED_BY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_LENGTH_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SUPPORTS_IMAGE_INPUT_FIELD_NUMBER: _ClassVar[int]
    SUPPORTS_REASONING_FIELD_NUMBER: _ClassVar[int]
    SUPPORTS_STRUCTURED_OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    SUPPORTS_TOOL_CALLS_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    id: str
    object: str
    created: int
    owned_by: str
    name: str
    category: str
    context_length: int
    max_output_tokens: int
    supports_image_input: bool
    supports_reasoning: bool
    supports_structured_outputs: bool
    supports_tool_calls: bool
    architecture: ModelArchitecture
    def __init__(self, id: _Optional[str] = ..., object: _Optional[str] = ..., created: _Optional[int] = ..., owned_by: _Optional[str] = ..., name: _Optional[str] = ..., category: _Optional[str] = ..., context_length: _Optional[int] = ..., max_output_tokens: _Optional[int] = ..., supports_image_input: _Optional[bool] = ..., supports_reasoning: _Optional[bool] = ..., supports_structured_outputs: _Optional[bool] = ..., supports_tool_calls: _Optional[bool] = ..., architecture: _Optional[_Union[ModelArchitecture, _Mapping]] = ...) -> None: ...

class ModelArchitecture(_message.Message):
    __slots__ = ("input_modalities", "output_modalities")
    INPUT_MODALITIES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_MODALITIES_FIELD_NUMBER: _ClassVar[int]
    input_modalities: _containers.RepeatedScalarFieldContainer[str]
    output_modalities: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, input_modalities: _Optional[_Iterable[str]] = ..., output_modalities: _Optional[_Iterable[str]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "category", "provider_key", "provider_driver", "include_providers")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_DRIVER_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    category: str
    provider_key: str
    provider_driver: str
    include_providers: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., category: _Optional[str] = ..., provider_key: _Optional[str] = ..., provider_driver: _Optional[str] = ..., include_providers: _Optional[bool] = ...) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("object", "data", "models", "providers", "next_page_token")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    object: str
    data: _containers.RepeatedCompositeFieldContainer[OpenAIModel]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    providers: _containers.RepeatedCompositeFieldContainer[_provider_service_pb2.Provider]
    next_page_token: str
    def __init__(self, object: _Optional[str] = ..., data: _Optional[_Iterable[_Union[OpenAIModel, _Mapping]]] = ..., models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., providers: _Optional[_Iterable[_Union[_provider_service_pb2.Provider, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("id", "object", "created", "owned_by", "model")
    ID_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    OWNED_BY_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    id: str
    object: str
    created: int
    owned_by: str
    model: Model
    def __init__(self, id: _Optional[str] = ..., object: _Optional[str] = ..., created: _Optional[int] = ..., owned_by: _Optional[str] = ..., model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class CreateModelRequest(_message.Message):
    __slots__ = ("key", "name", "provider_key", "category", "model_id", "description", "settings", "pricing", "capabilities", "metadata", "input_guardrail_key", "output_guardrail_key", "pii_policy_key")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    PRICING_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    INPUT_GUARDRAIL_KEY_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_GUARDRAIL_KEY_FIELD_NUMBER: _ClassVar[int]
    PII_POLICY_KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    provider_key: str
    category: str
    model_id: str
    description: str
    settings: ModelSettings
    pricing: ModelPricing
    capabilities: ModelCapabilities
    metadata: _struct_pb2.Struct
    input_guardrail_key: str
    output_guardrail_key: str
    pii_policy_key: str
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ..., provider_key: _Optional[str] = ..., category: _Optional[str] = ..., model_id: _Optional[str] = ..., description: _Optional[str] = ..., settings: _Optional[_Union[ModelSettings, _Mapping]] = ..., pricing: _Optional[_Union[ModelPricing, _Mapping]] = ..., capabilities: _Optional[_Union[ModelCapabilities, _Mapping]] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., input_guardrail_key: _Optional[str] = ..., output_guardrail_key: _Optional[str] = ..., pii_policy_key: _Optional[str] = ...) -> None: ...

class CreateModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class CreateDynamicModelRequest(_message.Message):
    __slots__ = ("key", "name", "description", "settings", "metadata", "capabilities")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    description: str
    settings: ModelSettings
    metadata: _struct_pb2.Struct
    capabilities: ModelCapabilities
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., settings: _Optional[_Union[ModelSettings, _Mapping]] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., capabilities: _Optional[_Union[ModelCapabilities, _Mapping]] = ...) -> None: ...

class CreateDynamicModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class UpdateModelRequest(_message.Message):
    __slots__ = ("id", "name", "provider_key", "model_id", "description", "settings", "pricing", "capabilities", "metadata", "input_guardrail_key", "output_guardrail_key", "pii_policy_key")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    PRICING_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    INPUT_GUARDRAIL_KEY_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_GUARDRAIL_KEY_FIELD_NUMBER: _ClassVar[int]
    PII_POLICY_KEY_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    provider_key: str
    model_id: str
    description: str
    settings: ModelSettings
    pricing: ModelPricing
    capabilities: ModelCapabilities
    metadata: _struct_pb2.Struct
    input_guardrail_key: str
    output_guardrail_key: str
    pii_policy_key: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., provider_key: _Optional[str] = ..., model_id: _Optional[str] = ..., description: _Optional[str] = ..., settings: _Optional[_Union[ModelSettings, _Mapping]] = ..., pricing: _Optional[_Union[ModelPricing, _Mapping]] = ..., capabilities: _Optional[_Union[ModelCapabilities, _Mapping]] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., input_guardrail_key: _Optional[str] = ..., output_guardrail_key: _Optional[str] = ..., pii_policy_key: _Optional[str] = ...) -> None: ...

class UpdateModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class DeleteModelRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class DeleteModelResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...
