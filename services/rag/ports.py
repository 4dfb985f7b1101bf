"""The ports of rag, beyond those of core."""

import re
from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from hashlib import sha256
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from core.providers import drivers
from core.providers.drivers import Values
from core.tenancy import Project, Tenant
from services.rag.domain.files.kinds import Kind

_BUCKET_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class BucketLocation:
    """The location of a bucket's objects. `bucket_id` is the bucket's record id, which is never used again."""

    scope: Project
    bucket_id: str

    def __post_init__(self) -> None:
        if not _BUCKET_ID.fullmatch(self.bucket_id):
            raise ValueError("a bucket's id is 1 to 64 letters, digits, '_' or '-'")

    def path(self, key: str) -> str:
        """Return the path of the object in a store, whatever its key holds: names of fixed form and length, so that no
        key leads elsewhere, and none meets another one where upper and lower case are the same."""
        whole = "\0".join((self.scope.tenant.slug, self.scope.id, self.bucket_id, key))
        name = sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{project_path(self.scope)}/{self.bucket_id}/{name[:2]}/{name[2:]}"


def project_path(project: Project) -> str:
    """Return the prefix, before a slash, of the paths of all objects of a project, and no other's."""
    return f"{project.tenant.slug}/{project.id}"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Object written by `put`. `sha256` is hexadecimal."""

    size: int
    sha256: str

    @property
    def etag(self) -> str:
        """An entity tag, quoted; strong: the same content has the same one."""
        return etag_of(self.sha256)


def etag_of(checksum: str) -> str:
    return f'"{checksum[:32]}"'


class FileStore(Protocol):
    """A store of objects. Every method takes the location first; objects of another location do not exist for it. Keys
    are any text.

    Any method raises Unavailable where the store cannot be reached, and UpstreamFailed where it refuses us. Safe to
    use from many tasks at once.
    """

    async def put(self, location: BucketLocation, key: str, content: AsyncIterator[bytes]) -> StoredObject:
        """Write an object, or replace it, as a whole and durably: nobody ever sees a part. It never holds more than a
        few MiB of `content` in memory. Where `content` raises, or the call is cancelled, there is what was before.
        Of several at a time with one key, one wins. Raises InsufficientStorage where the store is full."""

    def get(
        self, location: BucketLocation, key: str, offset: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The object from `offset` on, `length` bytes of it or all that follow, in chunks of at most 1 MiB. The object
        stays what it was when the first chunk came. Raises NotFound with the first chunk, Unavailable where
        the object is shorter than asked for. Close it if you leave early."""

    async def size(self, location: BucketLocation, key: str) -> int | None:
        """Bytes of the object; None: there is none."""

    async def delete(self, location: BucketLocation, key: str) -> None:
        """Remove the object, and what a `put` that was cut off has left of it. No error where there is nothing. A
        `put` of this key that is in progress may fail with Unavailable."""

    async def clear(self, project: Project) -> None:
        """Remove every object of the project, and what of its puts was cut off. Safe to repeat; a `put` in progress
        may fail, or leave its object."""

    async def check(self) -> None:
        """Check that the store can serve. Raises where it cannot."""

    async def close(self) -> None:
        """Release files and connections. May be called twice."""


class LocalFileStore(FileStore, Protocol):
    """The service's own store, which all tenants share."""

    async def clear_tenant(self, tenant: Tenant) -> None:
        """Remove every object of the tenant. Safe to repeat."""


@dataclass(frozen=True)
class FileDriver(drivers.Driver):
    """A kind of provider. `open` makes a store from credentials and settings and connects to nothing yet."""

    open: Callable[[Values, Values], FileStore]
    max_object_bytes: float = inf
    """Size of the largest object that its stores take."""


class Converter(Protocol):
    """Makes Markdown of one document. Several may be at it at a time."""

    def convert(self, kind: Kind, content: AsyncIterator[bytes]) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The Markdown in chunks, UTF-8; nothing of either stays when the context is left. Raises UnsupportedMedia for
        what turns out to be of no known kind or to hold no text, Unprocessable for what cannot be converted or takes
        too much, Unavailable and InsufficientStorage where it may go well another time."""


if TYPE_CHECKING:
    Vector = array[float]
else:
    Vector = array  # takes a parameter from Python 3.12 on
"""32-bit floats, typecode 'f'."""


class Embedder(Protocol):
    """The embedding models of the caller's project, in the inference service."""

    async def embed(self, model_key: str, texts: Sequence[str]) -> list[Vector]:
        """Return one vector per text, in order. At most 2048 texts, none of them empty. Raises
        FailedPrecondition (EMBEDDING_MODEL) where the project has no such embedding model, and whatever the provider
        raises: RateLimited, Unavailable, UpstreamFailed, DeadlineExceeded, InvalidInput."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """`role`: system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """The text of a whole answer, and the tokens that it took."""

    text: str
    input_tokens: int = 0
    output_tokens: int = 0


class ChatModel(Protocol):
    """The chat models of the caller's project, in the inference service. Both methods raise FailedPrecondition
    (CHAT_MODEL) where the project has no such chat model, ContentBlocked, and whatever the provider raises."""

    async def answer(
        self,
        model_key: str,
        messages: Sequence[ChatMessage],
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
        json_schema: Mapping[str, Any] | None = None,
    ) -> ChatAnswer:
        """Return the whole answer. `json_schema`: what the answer has to look like, for models that can be told."""

    def stream(
        self,
        model_key: str,
        messages: Sequence[ChatMessage],
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> AsyncGenerator[ChatAnswer, None]:
        """Yield deltas of the answer's text as the model makes them; the last one carries the tokens. Close it if you
        leave early."""


@dataclass(frozen=True, slots=True)
class IndexRef:
    """Provider and index of vectors, by their keys."""

    provider_key: str
    index_key: str


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """Properties of an index. `metric`: cosine, dot or euclidean. `hybrid`: it has keyword search as well."""

    ref: IndexRef
    dimension: int
    metric: str
    hybrid: bool


@dataclass(frozen=True, slots=True)
class VectorPoint:
    """`metadata` is what filters see; `text` is what keyword search reads."""

    id: str
    values: Sequence[float]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True, slots=True)
class VectorMatch:
    """`score`: higher is nearer, but for euclidean without a text, where it is the distance. `values`: where asked
    for."""

    id: str
    score: float
    metadata: Mapping[str, Any]
    values: Sequence[float] = ()


class Vectors(Protocol):
    """The vector indexes of the caller's project, in the vector service. Every method but `ensure_index` and
    `delete_index` raises NotFound (field indexId) where there is no such index."""

    async def index(self, ref: IndexRef) -> IndexInfo:
        """Return the description of an index."""

    async def ensure_index(
        self, provider_key: str, name: str, dimension: int, *, metric: str = "cosine", hybrid: bool = False
    ) -> IndexInfo:
        """Create an index, or return the one of this name, which must be alike. Raises NotFound (the provider),
        Conflict (another dimension or metric), InvalidInput (field hybrid or metric: the engine lacks it)."""

    async def delete_index(self, ref: IndexRef) -> None:
        """Delete an index with its points; nothing where there is none."""

    async def upsert(self, ref: IndexRef, points: Sequence[VectorPoint]) -> None:
        """Write at most 10,000 points durably; one with a known id is replaced."""

    async def delete(self, ref: IndexRef, *, ids: Sequence[str] = (), filter: Mapping[str, Any] | None = None) -> int:
        """Delete points by ids or by a filter; return how many."""

    async def query(
        self,
        ref: IndexRef,
        vector: Sequence[float],
        *,
        top_k: int,
        filter: Mapping[str, Any] | None = None,
        text: str = "",
        fusion: str = "",
        dense_weight: float | None = None,
        include_values: bool = False,
    ) -> list[VectorMatch]:
        """Return the nearest points, the nearest first. With a `text` the query is hybrid; `fusion`: rrf or weighted,
        `dense_weight` from 0 to 1 with the latter."""

    async def fetch(self, ref: IndexRef, ids: Sequence[str]) -> dict[str, Vector]:
        """Return the values of at most 1000 points by id; unknown ones are left out."""

    async def count(self, ref: IndexRef, filter: Mapping[str, Any] | None = None) -> int:
        """Count the points, all or those that meet a filter."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Places of the documents in the order asked for with their scores from 0 to 1, the best first; those below the
    reranker's least score are left out. `unranked`: it gave no usable answer, and the order is the one asked with."""

    results: Sequence[tuple[int, float]]
    unranked: bool = False
    warnings: Sequence[str] = ()


class Reranker(Protocol):
    """The rerankers of the caller's project, in the inference service."""

    async def rerank(self, reranker_key: str, query: str, documents: Sequence[tuple[str, float]]) -> Ranking:
        """Rank documents, each a text with the score from 0 to 1 that a search gave it. Raises FailedPrecondition
        (RERANKER) where the project has no such reranker, and whatever the provider raises."""


class Models(Protocol):
    """The models of the caller's project, in the inference service."""

    async def embedding_model(self) -> str:
        """Return the key of the project's oldest embedding model. Raises FailedPrecondition (EMBEDDING_MODEL) where it
        has none."""
