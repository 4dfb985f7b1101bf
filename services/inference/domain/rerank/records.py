"""Rerankers as they are stored."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from core import fields
from core.errors import InvalidInput
from core.storage.table import Record

MODEL, JUDGE, LISTWISE, HEURISTIC = "dedicated-model", "llm-judge", "llm-listwise", "heuristic"
STRATEGIES: Final = (MODEL, JUDGE, LISTWISE, HEURISTIC)
ACTIVE, DISABLED = "active", "disabled"
STATUSES: Final = (ACTIVE, DISABLED)
MAX_TEMPLATE: Final = 16_000
MAX_BATCH: Final = 20
QUERY, DOCUMENT, DOCUMENTS = "{{query}}", "{{document}}", "{{documents}}"


class RerankerConfig(msgspec.Struct, frozen=True, rename="camel"):
    """Parameters of a reranker; see the contract. A `top_n` of 0: all."""

    top_n: int = 0
    score_threshold: float = 0.0
    batch_size: int = 5
    temperature: float = 0.0
    prompt_template: str = ""
    lexical_weight: float = 0.2


class Reranker(Record, frozen=True):
    """One record."""

    id: str
    key: str
    name: str
    strategy: str
    model_key: str = ""
    description: str = ""
    status: str = ACTIVE
    config: RerankerConfig = RerankerConfig()
    metadata: Mapping[str, Any] = {}
    created_at: float = 0.0
    updated_at: float = 0.0


@dataclass(frozen=True, slots=True)
class NewReranker:
    """The values that a reranker is made from; an empty key is made from the name."""

    name: str
    strategy: str
    key: str = ""
    model_key: str = ""
    description: str = ""
    status: str = ACTIVE
    config: RerankerConfig = RerankerConfig()
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RerankerChanges:
    """Changes of a reranker. None: unchanged. The config is replaced as a whole."""

    name: str | None = None
    strategy: str | None = None
    model_key: str | None = None
    description: str | None = None
    status: str | None = None
    config: RerankerConfig | None = None
    metadata: Mapping[str, Any] | None = None


def checked(record: Reranker) -> Reranker:
    """The record with its texts trimmed. Raises InvalidInput."""
    strategy = fields.one_of("strategy", record.strategy, STRATEGIES)
    if strategy == HEURISTIC and record.model_key:
        raise InvalidInput("modelKey must be empty: the strategy heuristic asks no model.", field="modelKey")
    if strategy != HEURISTIC and not record.model_key:
        raise InvalidInput(f"modelKey must name the model of the strategy {strategy}.", field="modelKey")
    return msgspec.structs.replace(
        record,
        name=fields.text("name", record.name, at_least=1, at_most=200),
        description=fields.text("description", record.description, at_most=2000),
        status=fields.one_of("status", record.status or ACTIVE, STATUSES),
        config=_checked_config(record.config, strategy),
        metadata=fields.small_json("metadata", record.metadata),
    )


def _checked_config(config: RerankerConfig, strategy: str) -> RerankerConfig:
    ranges: tuple[tuple[str, float, float, float], ...] = (
        ("topN", config.top_n, 0, 1000),
        ("scoreThreshold", config.score_threshold, 0, 1),
        ("batchSize", config.batch_size, 1, MAX_BATCH),
        ("temperature", config.temperature, 0, 2),
        ("lexicalWeight", config.lexical_weight, 0, 1),
    )
    for name, value, low, high in ranges:
        if not low <= value <= high:
            raise InvalidInput(f"config.{name} must be {low} to {high}.", field=f"config.{name}")
    path, template = "config.promptTemplate", config.prompt_template
    if len(template) > MAX_TEMPLATE:
        raise InvalidInput(f"{path} must have at most {MAX_TEMPLATE} characters.", field=path)
    documents = DOCUMENTS if strategy == LISTWISE else DOCUMENT
    if template and (QUERY not in template or documents not in template):
        raise InvalidInput(f"{path} must hold {QUERY} and {documents}.", field=path)
    return config
