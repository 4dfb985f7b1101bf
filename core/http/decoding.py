"""Bodies that a server compressed although we ask for none."""

import zlib

from core.http.errors import BadResponse

_ZLIB_OR_GZIP = 47  # zlib's own wbits: 15 for the largest window, and 32 to tell the two formats apart
_CODINGS = frozenset({b"gzip", b"x-gzip", b"deflate"})


def decoded(body: bytes, coding: bytes, limit: int) -> bytes:
    """Raises BadResponse for a coding we do not know, broken data, or a result of more than `limit` bytes."""
    coding = coding.strip().lower()
    if coding == b"identity" or not body:
        return body
    if coding not in _CODINGS:
        raise BadResponse("The provider compressed its answer in a way that is not supported.")
    inflater = zlib.decompressobj(_ZLIB_OR_GZIP)
    try:
        plain = inflater.decompress(body, limit + 1)
    except zlib.error:
        raise BadResponse("The provider's compressed answer is broken.") from None
    if len(plain) > limit:
        raise BadResponse("The provider's answer is too large.")
    if not inflater.eof:
        raise BadResponse("The provider's compressed answer is cut short.")
    return plain
