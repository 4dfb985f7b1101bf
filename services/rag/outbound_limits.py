"""The limits on answers of S3 servers, from the constants that enforce them."""

from core.http.limits import BAD, BUSY
from core.limits import Limit
from services.rag.adapters import s3_limits as s3
from services.rag.domain.files.conversion import CONVERT_SECONDS
from services.rag.domain.files.orphans import SETTLE_SECONDS
from services.rag.settings import Settings

_AWAY = "503"
_LATER = "tried again later"


def rows(settings: Settings) -> tuple[Limit, ...]:
    """Besides those of `core.http.limits`. No setting changes them."""
    return (
        Limit("S3: connections", s3.CONNECTIONS, "connections", "host", BUSY),
        Limit("S3: hosts", s3.MAX_HOSTS, "hosts", "provider", BAD),
        Limit("S3: wait for a connection", s3.POOL_SECONDS, "seconds", "call", BUSY),
        Limit("S3: name lookup, TCP and TLS", s3.CONNECT_SECONDS, "seconds", "connection", _AWAY),
        Limit("S3: until an answer begins", s3.FIRST_BYTE_SECONDS, "seconds", "request", _AWAY),
        Limit("S3: pause", s3.IDLE_SECONDS, "seconds", "answer", _AWAY),
        Limit("S3: call with all attempts", s3.CALL_SECONDS, "seconds", "call", _AWAY),
        Limit("S3: call with all attempts", s3.UPLOAD_SECONDS, "seconds", "part of an upload", _AWAY),
        Limit("S3: attempts", s3.ATTEMPTS, "attempts", "call", _AWAY),
        Limit("S3: error", s3.MAX_ERROR_BYTES, "bytes", "answer", "the status alone counts"),
        Limit("S3: answer that is no object", s3.MAX_ANSWER_BYTES, "bytes", "answer", BAD),
        Limit("S3: XML", s3.MAX_TAGS, "tags", "answer", BAD),
        Limit("S3: objects or unfinished uploads", s3.MAX_LISTED, "names", "list", "the rest with the next list"),
        Limit("S3: removal of a project's objects", s3.CLEAR_SECONDS, "seconds", "attempt", _LATER),
        Limit("Conversion, reading and writing included", CONVERT_SECONDS, "seconds", "file", _LATER),
        Limit("Removal of what an upload left", SETTLE_SECONDS, "seconds", "upload", _LATER),
    )
