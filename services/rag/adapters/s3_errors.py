"""Error mapping of S3 and its transport to the error tree."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
)

from core import logs
from core.errors import DeadlineExceeded, InsufficientStorage, NotFound, PorticoError, Unavailable, UpstreamFailed

log = logs.get(__name__)

_ABSENT = ("NoSuchKey", "404", "NotFound")
_FULL = ("QuotaExceeded", "XMinioStorageFull", "InsufficientCapacity", "507")
_BUSY = ("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "500", "502", "503", "504")


def absent() -> NotFound:
    return NotFound("There is no such object.", reason="OBJECT_NOT_FOUND")


@contextmanager
def provider_errors() -> Iterator[None]:
    """Map errors, without the server's texts, which may name hosts and keys. Whatever else fails on
    the answer's way through the client's parsers is its fault as well."""
    try:
        yield
    except DeadlineExceeded as error:
        raise Unavailable(error.message) from None
    except PorticoError:
        raise
    except ClientError as error:
        raise _translated(error) from None
    except (ConnectionError, HTTPClientError, OSError, TimeoutError):
        raise Unavailable("The file provider cannot be reached. Try again in a moment.") from None
    except BotoCoreError:
        raise UpstreamFailed("The file provider cannot be used as it is set up.", reason="PROVIDER_FAILED") from None
    except Exception as error:
        log.warning(
            "an answer of a file provider cannot be read", error=type(error).__name__, location=logs.location_of(error)
        )
        raise UpstreamFailed(
            "The file provider's answer is not what its API promises.", reason="UPSTREAM_MALFORMED"
        ) from None


def _translated(error: ClientError) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    if code in _ABSENT or code == "NoSuchUpload":
        return absent()
    if code in _FULL or status == "507":
        return InsufficientStorage("The file provider has no room for this file.", reason="STORAGE_FULL")
    if code in _BUSY or status.startswith("5"):
        return Unavailable("The file provider is busy. Try again in a moment.", retry_after=1.0)
    shown = code if code.isalnum() and len(code) <= 64 else status
    return UpstreamFailed(f"The file provider refused the request ({shown}).", reason="PROVIDER_REFUSED")
