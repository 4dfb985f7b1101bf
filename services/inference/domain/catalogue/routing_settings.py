"""Settings by which a model's calls are spread over several targets, and their checks."""

import math
from collections.abc import Iterator, Sequence

import msgspec

from core import fields
from core.errors import InvalidInput

WEIGHTED, LEAST_BUSY, LOWEST_LATENCY = "weighted", "least_busy", "lowest_latency"
POLICIES = (WEIGHTED, LEAST_BUSY, LOWEST_LATENCY)
MAX_TARGETS = 15
"""Beside the model's own provider."""
MAX_WEIGHT = 1_000_000.0
MAX_PRIORITY = 100
_MAX_SECONDS = 3600.0


class TargetSettings(msgspec.Struct, frozen=True, rename="camel"):
    """A provider's model that serves calls too. Times are in seconds, 0: those of the model."""

    provider_key: str
    model_id: str
    weight: float = 1.0
    priority: int = 0
    timeout: float = 0.0
    first_token_timeout: float = 0.0


class ShadowSettings(msgspec.Struct, frozen=True, rename="camel"):
    """A provider's model that gets a copy of `percent` of the requests, and whose answers nobody reads."""

    provider_key: str
    model_id: str
    percent: float = 100.0


class RoutingSettings(msgspec.Struct, frozen=True, rename="camel"):
    """The model's own provider is the first target; `weight` and `priority` are its own. Calls go to the targets of the
    lowest priority number by `policy`, and to the others when those fail. `first_token_timeout` is in seconds, 0: none.
    """

    policy: str = WEIGHTED
    weight: float = 1.0
    priority: int = 0
    first_token_timeout: float = 0.0
    targets: tuple[TargetSettings, ...] = ()
    shadow: ShadowSettings | None = None

    def provider_keys(self) -> Iterator[str]:
        """The providers beside the model's own."""
        yield from (each.provider_key for each in self.targets)
        if self.shadow is not None:
            yield self.shadow.provider_key


def checked(routing: RoutingSettings) -> RoutingSettings:
    """Raises InvalidInput."""
    path = "settings.routing"
    fields.one_of(f"{path}.policy", routing.policy, POLICIES)
    fields.count(f"{path}.targets", routing.targets, MAX_TARGETS)
    _check_share(path, routing.weight, routing.priority)
    _check_seconds(f"{path}.firstTokenTimeoutSeconds", routing.first_token_timeout)
    for at, each in enumerate(routing.targets):
        where = f"{path}.targets[{at}]"
        _check_model(where, each.provider_key, each.model_id)
        _check_share(where, each.weight, each.priority)
        _check_seconds(f"{where}.timeoutSeconds", each.timeout)
        _check_seconds(f"{where}.firstTokenTimeoutSeconds", each.first_token_timeout)
    if not any(weight > 0 for weight in _weights(routing)):
        raise InvalidInput(f"{path} needs a target whose weight is more than 0.", field=f"{path}.targets")
    if routing.shadow is not None:
        _check_model(f"{path}.shadow", routing.shadow.provider_key, routing.shadow.model_id)
        if not 0 < routing.shadow.percent <= 100:
            raise InvalidInput(
                f"{path}.shadow.percent must be more than 0 and at most 100.", field=f"{path}.shadow.percent"
            )
    return routing


def _weights(routing: RoutingSettings) -> Sequence[float]:
    return [routing.weight, *(each.weight for each in routing.targets)]


def _check_model(path: str, provider_key: str, model_id: str) -> None:
    fields.text(f"{path}.providerKey", provider_key, at_least=1, at_most=128)
    fields.text(f"{path}.modelId", model_id, at_least=1, at_most=256)


def _check_share(path: str, weight: float, priority: int) -> None:
    if not (math.isfinite(weight) and 0 <= weight <= MAX_WEIGHT):
        raise InvalidInput(f"{path}.weight must be 0 to {MAX_WEIGHT:.0f}.", field=f"{path}.weight")
    if not 0 <= priority <= MAX_PRIORITY:
        raise InvalidInput(f"{path}.priority must be 0 to {MAX_PRIORITY}.", field=f"{path}.priority")


def _check_seconds(path: str, seconds: float) -> None:
    if seconds and not 0.1 <= seconds <= _MAX_SECONDS:
        raise InvalidInput(f"{path} must be 0.1 to {_MAX_SECONDS:.0f}, or 0 for the default.", field=path)
