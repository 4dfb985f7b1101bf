"""OpenAI's requests for vector stores: read from JSON, and held against their limits. Pure. All raise InvalidInput,
naming the field."""

from typing import Any

import msgspec

from core import fields, free_json, json_bodies
from core.errors import InvalidInput
from services.rag.domain.vector_stores import filters, values
from services.rag.domain.vector_stores.values import Attributes, Chunking, ExpiresAfter, StaticChunks

_NULL = msgspec.Raw(b"null")
_RANKERS = ("none", "auto", "default-2024-11-15")
MAX_QUERIES = 10
_MAX_QUERY = 8_000


class CreateStore(msgspec.Struct, frozen=True):
    """A new vector store. The last three are extensions of Portico's."""

    name: str | None = None
    description: str | None = None
    file_ids: list[str] | None = None
    expires_after: ExpiresAfter | None = None
    chunking_strategy: Chunking | None = None
    metadata: dict[str, str] | None = None
    embedding_model: str | None = None
    hybrid: bool | None = None
    reranker_key: str | None = None

    def files(self) -> "list[NewFile]":
        """The files that it begins with."""
        ids = list(dict.fromkeys(self.file_ids or ()))
        fields.count("file_ids", ids, values.MAX_FILES)
        return [NewFile(id, {}, None) for id in ids]


class UpdateStore(msgspec.Struct, frozen=True):
    """New values of a vector store; UNSET: as it is, None: none."""

    name: str | msgspec.UnsetType | None = msgspec.UNSET
    expires_after: ExpiresAfter | msgspec.UnsetType | None = msgspec.UNSET
    metadata: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET


class HybridSearch(msgspec.Struct, frozen=True):
    """Weights of the two rankings of a hybrid search."""

    embedding_weight: float = 1.0
    text_weight: float = 1.0


class RankingOptions(msgspec.Struct, frozen=True):
    ranker: str | None = None
    score_threshold: float | None = None
    hybrid_search: HybridSearch | None = None


class Search(msgspec.Struct, frozen=True):
    query: str | list[str]
    filters: msgspec.Raw = _NULL
    max_num_results: int | None = None
    ranking_options: RankingOptions | None = None
    rewrite_query: bool | None = None

    @property
    def queries(self) -> list[str]:
        return [self.query] if isinstance(self.query, str) else self.query

    def filter(self) -> dict[str, Any]:
        """The filter in the language of the vector service; empty: none."""
        given = free_json.read("filters", self.filters)
        return filters.translated(given) if given else {}


class AddFile(msgspec.Struct, frozen=True):
    file_id: str
    attributes: dict[str, Any] | None = None
    chunking_strategy: Chunking | None = None

    def checked(self, at: str = "") -> "NewFile":
        chunking = self.chunking_strategy
        return NewFile(
            self.file_id,
            values.attributes(self.attributes, f"{at}attributes"),
            None if chunking is None else chunking.sizes(f"{at}chunking_strategy"),
        )


class AddBatch(msgspec.Struct, frozen=True):
    file_ids: list[str] | None = None
    files: list[AddFile] | None = None
    attributes: dict[str, Any] | None = None
    chunking_strategy: Chunking | None = None

    def checked(self) -> "list[NewFile]":
        if bool(self.file_ids) is bool(self.files):
            raise InvalidInput("Give either file_ids or files, with one file at least.", field="file_ids")
        given = self.files or [
            AddFile(each, self.attributes, self.chunking_strategy) for each in dict.fromkeys(self.file_ids or ())
        ]
        fields.count("files" if self.files else "file_ids", given, values.MAX_FILES)
        made = [each.checked(f"files[{index}]." if self.files else "") for index, each in enumerate(given)]
        if len({each.file_id for each in made}) < len(made):
            raise InvalidInput("files names a file twice.", field="files")
        return made


class UpdateFile(msgspec.Struct, frozen=True):
    attributes: dict[str, Any] | None


class NewFile(msgspec.Struct, frozen=True):
    """A file to add to a vector store. `chunks` None: as the vector store says."""

    file_id: str
    attributes: Attributes
    chunks: StaticChunks | None


_CREATE_STORE = msgspec.json.Decoder(CreateStore)
_UPDATE_STORE = msgspec.json.Decoder(UpdateStore)
_SEARCH = msgspec.json.Decoder(Search)
_ADD_FILE = msgspec.json.Decoder(AddFile)
_ADD_BATCH = msgspec.json.Decoder(AddBatch)
_UPDATE_FILE = msgspec.json.Decoder(UpdateFile)


def create_store(body: bytes) -> CreateStore:
    return json_bodies.read(_CREATE_STORE, body or b"{}")


def update_store(body: bytes) -> UpdateStore:
    return json_bodies.read(_UPDATE_STORE, body or b"{}")


def search(body: bytes) -> Search:
    asked = json_bodies.read(_SEARCH, body)
    fields.count("query", asked.queries, MAX_QUERIES)
    if not asked.queries or not all(1 <= len(each.strip()) <= _MAX_QUERY for each in asked.queries):
        raise InvalidInput(f"query must be 1 to {MAX_QUERIES} texts of 1 to {_MAX_QUERY} characters.", field="query")
    if asked.max_num_results is not None and not 1 <= asked.max_num_results <= values.MAX_RESULTS:
        raise InvalidInput(f"max_num_results must be 1 to {values.MAX_RESULTS}.", field="max_num_results")
    if (ranking := asked.ranking_options) is not None:
        _check_ranking(ranking)
    return asked


def add_file(body: bytes) -> NewFile:
    return json_bodies.read(_ADD_FILE, body).checked()


def add_batch(body: bytes) -> list[NewFile]:
    return json_bodies.read(_ADD_BATCH, body).checked()


def update_file(body: bytes) -> Attributes:
    return values.attributes(json_bodies.read(_UPDATE_FILE, body).attributes)


def _check_ranking(ranking: RankingOptions) -> None:
    if ranking.ranker is not None:
        fields.one_of("ranking_options.ranker", ranking.ranker, _RANKERS)
    if ranking.score_threshold is not None and not 0 <= ranking.score_threshold <= 1:
        raise InvalidInput("ranking_options.score_threshold must be 0 to 1.", field="ranking_options.score_threshold")
    if (weights := ranking.hybrid_search) is not None:
        both = (weights.embedding_weight, weights.text_weight)
        if min(both) < 0 or sum(both) <= 0:
            field = "ranking_options.hybrid_search"
            raise InvalidInput(f"{field} must have weights of 0 or more, one of them above 0.", field=field)
