"""The limits that hold in every service, beside those of `core.rpc.limit_table`."""

from core.fields import MAX_PAGE, MAX_SMALL_JSON_BYTES
from core.limits import MAX_ANSWER_BYTES, Limit
from core.offload import MAX_WAITING_BYTES
from core.providers.providers import MAX_PROVIDERS
from core.storage.checks import MAX_PAGE_LENGTH

SHARED_LIMITS = (
    Limit("Large requests that wait to be read", MAX_WAITING_BYTES, "bytes", "tenant and process", "429"),
    Limit("metadata, and other small JSON objects", MAX_SMALL_JSON_BYTES, "bytes of JSON", "record"),
    Limit("Providers", MAX_PROVIDERS, "providers", "project and service", "409"),
    Limit("pageSize", MAX_PAGE, "records", "page"),
    Limit(
        "Records of a list", MAX_PAGE_LENGTH, "characters of JSON", "page", "a shorter page, and the token of the next"
    ),
    Limit("An answer in one message", MAX_ANSWER_BYTES, "bytes", "request"),
)
