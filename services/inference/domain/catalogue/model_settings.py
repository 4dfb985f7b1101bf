"""Settings that shape requests for a model, its capabilities, and the checks of both."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from core import fields
from core.errors import InvalidInput
from services.inference.domain.catalogue import dynamic_settings, routing_settings
from services.inference.domain.catalogue.dynamic_settings import DynamicSettings
from services.inference.domain.catalogue.routing_settings import RoutingSettings

DEFAULT_TIMEOUT = 300.0
_MAX_TIMEOUT = 3600.0
MAX_PARAMS = 64
"""Names in a model's `unsupportedParams`."""
_PARAM = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_OURS = frozenset({"model", "messages", "input", "stream", "stream_options"})
"""Fields that a model's settings must not set: Portico and the caller decide them."""
_NEEDED = frozenset({"model", "messages", "input", "stream"})


class ModelSettings(msgspec.Struct, frozen=True, rename="camel"):
    """Settings that shape requests. `timeout` is in seconds, 0: the default."""

    request_defaults: Mapping[str, Any] = {}
    extra_body: Mapping[str, Any] = {}
    unsupported_params: tuple[str, ...] = ()
    disable_streaming_with_tools: bool = False
    timeout: float = 0.0
    routing: RoutingSettings | None = None
    """None: the model's own provider serves all calls."""
    dynamic: DynamicSettings | None = None
    """Not None: the model has no provider of its own, and chooses another model for each call."""


class ModelCapabilities(msgspec.Struct, frozen=True, rename="camel"):
    """For clients that choose; nothing is refused because of them."""

    context_length: int = 0
    max_output_tokens: int = 0
    supports_image_input: bool = False
    supports_reasoning: bool = False
    supports_structured_outputs: bool = False
    supports_tool_calls: bool = False


def checked_settings(settings: ModelSettings) -> ModelSettings:
    """Raises InvalidInput."""
    defaults = fields.small_json("settings.requestDefaults", settings.request_defaults)
    extra = fields.small_json("settings.extraBody", settings.extra_body)
    for path, values in (("settings.requestDefaults", defaults), ("settings.extraBody", extra)):
        if taken := sorted(_OURS & values.keys()):
            raise InvalidInput(f"{path} must not set {', '.join(taken)}.", field=path)
    names = list(dict.fromkeys(settings.unsupported_params))
    path = "settings.unsupportedParams"
    if len(names) > MAX_PARAMS or not all(_PARAM.fullmatch(name) for name in names):
        raise InvalidInput(
            f"{path} must be at most {MAX_PARAMS} names of 1 to 64 letters, digits and _ . -.", field=path
        )
    if needed := sorted(_NEEDED.intersection(names)):
        raise InvalidInput(f"{path} must not name {', '.join(needed)}: no request works without.", field=path)
    if settings.timeout and not 1.0 <= settings.timeout <= _MAX_TIMEOUT:
        path = "settings.timeoutSeconds"
        raise InvalidInput(f"{path} must be 1 to {_MAX_TIMEOUT:.0f}, or 0 for the default.", field=path)
    if settings.routing is not None:
        routing_settings.checked(settings.routing)
    if settings.dynamic is not None:
        dynamic_settings.checked(settings.dynamic)
        if settings.routing is not None:
            raise InvalidInput("settings.routing is not for dynamic models.", field="settings.routing")
    return msgspec.structs.replace(
        settings, request_defaults=defaults, extra_body=extra, unsupported_params=tuple(names)
    )


def checked_capabilities(capabilities: ModelCapabilities) -> ModelCapabilities:
    """Raises InvalidInput."""
    for name in ("context_length", "max_output_tokens"):
        if getattr(capabilities, name) < 0:
            raise InvalidInput(f"capabilities.{name} must not be negative.", field=f"capabilities.{name}")
    return capabilities
