"""Content encodings. We ask for none (`Accept-Encoding: identity`); some servers and proxies compress all the same."""

import sys
import zlib
from collections.abc import Callable
from typing import Protocol

import brotli

from core.http.errors import BadResponse

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_ZLIB_OR_GZIP = 47  # zlib's own wbits: 15 for the largest window, and 32 to tell the two formats apart
_ZSTD_WINDOW_LOG = 23  # 8 MiB, what RFC 8878 asks of decoders; a larger window is a way to take our memory


class Decoder(Protocol):
    """A decompressor that works chunk by chunk and never yields more at a time than the caller takes."""

    pending: bool
    """True if there is more output to get without further data."""

    def feed(self, data: bytes, limit: int) -> bytes:
        """Decompress the next `limit` bytes or so; brotli rounds up to 32 KiB. Raises BadResponse."""

    def close(self) -> None:
        """End the body. Raises BadResponse if it was cut short."""


class _Codec(Protocol):
    """A library's decompressor for one format, as zlib, bz2 and zstd shape theirs."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes:
        """Data after the end of the compressed stream."""

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Zlib:
    """zlib's decompressor leaves it to the caller to keep what it did not consume."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(_ZLIB_OR_GZIP)

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflater.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inflater.decompress(self._inflater.unconsumed_tail + data, max_length)


class _Brotli:
    unused_data = b""

    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()

    @property
    def eof(self) -> bool:
        return bool(self._decompressor.is_finished())

    def decompress(self, data: bytes, max_length: int) -> bytes:
        plain: bytes = self._decompressor.process(data, output_buffer_limit=max_length)
        return plain


def _zstd() -> _Codec:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})


_GZIP: tuple[Callable[[], _Codec], bytes] = (_Zlib, b"\x1f\x8b")
_CODINGS: dict[bytes, tuple[Callable[[], _Codec], bytes]] = {
    b"gzip": _GZIP,
    b"x-gzip": _GZIP,
    b"deflate": (_Zlib, b""),
    b"br": (_Brotli, b""),
    b"zstd": (_zstd, b"\x28\xb5\x2f\xfd"),
}
"""Decompressor of each coding, and the first bytes of its data where several members may follow each other."""
_BROKEN = (zlib.error, brotli.error, zstd.ZstdError)


class _CodecDecoder:
    """The Decoder on a library's codec."""

    def __init__(self, make: Callable[[], _Codec], magic: bytes) -> None:
        self._make = make
        self._magic = magic
        self._codec = make()
        self._begun = False
        self.pending = False

    def feed(self, data: bytes, limit: int) -> bytes:
        if self._codec.eof:
            data = self._codec.unused_data + data
            self.pending = False
            if not self._magic or not data.startswith(self._magic):
                return b""  # padding
            self._codec = self._make()
        self._begun = self._begun or bool(data)
        try:
            plain = self._codec.decompress(data, limit)
        except _BROKEN:
            raise BadResponse("The provider's compressed answer is broken.") from None
        self.pending = len(plain) >= limit or bool(self._codec.unused_data)
        return plain

    def close(self) -> None:
        if self._begun and not self._codec.eof:
            raise BadResponse("The provider's compressed answer is cut short.")


def known(coding: bytes | None) -> bool:
    """Return whether `decoder_for` takes the coding."""
    return coding is None or _name(coding) in _CODINGS or _name(coding) == b"identity"


def decoder_for(coding: bytes | None) -> Decoder | None:
    """The decoder of a content coding; None where there is nothing to decode. Raises BadResponse for a coding that is
    not known."""
    if coding is None or _name(coding) == b"identity":
        return None
    codec = _CODINGS.get(_name(coding))
    if codec is None:
        raise unsupported()
    return _CodecDecoder(*codec)


def decoded(body: bytes, coding: bytes, limit: int) -> bytes:
    """The plain body. Raises BadResponse for a coding that is not known, broken data, or more than `limit` bytes."""
    decoder = decoder_for(coding)
    if decoder is None or not body:
        return body
    parts = [decoder.feed(body, limit + 1)]
    left = limit - len(parts[0])
    while decoder.pending and left >= 0:
        parts.append(decoder.feed(b"", left + 1))
        left -= len(parts[-1])
    if left < 0:
        raise BadResponse("The provider's answer is too large.")
    decoder.close()
    return parts[0] if len(parts) == 1 else b"".join(parts)


def unsupported() -> BadResponse:
    return BadResponse("The provider compressed its answer in a way that is not supported.")


def _name(coding: bytes) -> bytes:
    return coding.strip().lower()
