"""Prices of models."""

import math
import re

import msgspec

from core.errors import InvalidInput

_MAX_PRICE = 1_000_000.0
_CURRENCY = re.compile(r"[A-Z]{3}")


class Pricing(msgspec.Struct, frozen=True):
    """Per million tokens, in `currency`; `search` per thousand searches. `cached`, of input that the provider's cache
    had, and `cache_write`, of input that it took, are None where it costs what input costs."""

    currency: str = "USD"
    input: float = 0.0
    output: float = 0.0
    cached: float | None = None
    cache_write: float | None = None
    search: float = 0.0


def checked(pricing: Pricing) -> Pricing:
    """Raises InvalidInput."""
    prices = {
        "inputTokenPer1M": pricing.input,
        "outputTokenPer1M": pricing.output,
        "cachedTokenPer1M": pricing.cached or 0.0,
        "cacheWriteTokenPer1M": pricing.cache_write or 0.0,
        "searchPer1K": pricing.search,
    }
    for name, price in prices.items():
        if not math.isfinite(price) or not 0 <= price <= _MAX_PRICE:
            raise InvalidInput(f"pricing.{name} must be 0 to {_MAX_PRICE:.0f}.", field=f"pricing.{name}")
    currency = pricing.currency or "USD"
    if not _CURRENCY.fullmatch(currency):
        raise InvalidInput("pricing.currency must be an ISO 4217 code such as USD.", field="pricing.currency")
    return msgspec.structs.replace(pricing, currency=currency)
