"""The codec: how a canonical request becomes a provider's, and the provider's answer canonical."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from core.errors import PorticoError
from services.inference.domain.codecs.errors import Refusal
from services.inference.domain.codecs.scrubbing import Scrub
from services.inference.domain.pipeline.answer import Chunk
from services.inference.domain.pipeline.exchange import Exchange
from services.inference.domain.usage.tokens import TokenUsage


@dataclass(slots=True, eq=False)
class TargetModel:
    """A provider's model as codecs see it."""

    model_key: str
    """The public key, which answers name."""
    model_id: str
    """The name at the provider."""
    defaults: tuple[tuple[str, Any], ...]
    """Fields that are sent where the request does not set them."""
    extra: dict[str, Any]
    """Fields that are sent in any case."""
    unsupported: tuple[str, ...]
    """Fields that are never sent."""
    whole_with_tools: bool
    """A request with tools is not streamed."""
    scrub: Scrub
    """Takes secrets, and the provider's name of the model, out of texts for the caller."""


class Encoded(NamedTuple):
    """A request for a provider."""

    data: bytes
    stream: bool
    """True if the provider is asked for a stream."""
    dropped: tuple[str, ...] = ()
    """Fields of the canonical request that are not in it."""
    headers: bytes = b""
    """A block of further headers, made by `core.http.headers`."""


class Decoded(NamedTuple):
    """A whole answer."""

    body: Chunk
    """With `object`, `model` (the public key) and all else that clients expect."""
    usage: TokenUsage
    finish_reason: str = ""


class ChunkReader(Protocol):
    """Reads a provider's stream. Sets `done` or `error` when there will be no more chunks."""

    done: bool
    error: PorticoError | None
    refusal: Refusal | None
    """The refusal of the provider that `error` is from, where it is from one."""
    characters: int
    """Characters of the answer so far: tokens are estimated with them where the provider does not count."""

    @property
    def finish_reason(self) -> str: ...

    @property
    def usage(self) -> TokenUsage | None:
        """Usage that the provider has reported so far."""

    def feed(self, data: bytes) -> list[Chunk]:
        """Feed bytes as they came; returns the chunks that they complete. Never raises."""

    def end(self) -> list[Chunk]:
        """The provider has closed the stream."""

    def usage_chunk(self, usage: TokenUsage) -> Chunk:
        """The last chunk, which has the usage and no choice."""


class Counter(NamedTuple):
    """Token counting of a provider: the path after the chat's, and the codec, whose answer is `input_tokens`."""

    path: bytes
    codec: "Codec"


class Codec(Protocol):
    """One provider format, for one operation. Keeps no state: what holds for one answer is in its ChunkReader."""

    counter: Counter | None
    """Counts the tokens of a request, where the format can."""

    def encode(self, exchange: Exchange, model: TargetModel) -> Encoded:
        """The request for this model, out of the exchange's request, which stays as it is. What the format cannot carry
        is dropped and named, or refused where that would change the answer. Raises InvalidInput."""

    def whole(self, data: bytes, exchange: Exchange, model: TargetModel) -> Decoded:
        """Read a whole answer. May run in a worker thread. Raises Refusal, UpstreamFailed."""

    def stream(self, exchange: Exchange, model: TargetModel) -> ChunkReader:
        """A reader for a stream. Usage chunks and `usage: null` are wanted as the exchange says."""

    def refusal(self, status: int, body: bytes, model: TargetModel) -> Refusal:
        """The meaning to the caller of an answer of this HTTP status, which is not 2xx."""
