"""Guardrails and word lists as they are stored, and the values that they are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from core.storage.references import Closable
from services.inference.domain.guardrails.findings import BLOCK

PRESET, CUSTOM = "preset", "custom"
GUARDRAIL_TYPES: Final = (PRESET, CUSTOM)
TARGETS: Final = ("input", "output", "both")
OPEN, CLOSED = "open", "closed"
FAIL_MODES: Final = (OPEN, CLOSED)

ActionName = Literal["", "block", "redact", "warn", "flag"]
"""Empty: the guardrail's own action."""


class _Policy(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Base of the parts of a policy."""


class PiiPolicyPart(_Policy, frozen=True):
    """PII. `categories` turns single ones on or off; the others are as by default."""

    enabled: bool = False
    action: ActionName = ""
    categories: Mapping[str, bool] = {}


class WordFilterPart(_Policy, frozen=True):
    """Words, phrases and patterns that must not occur."""

    enabled: bool = False
    action: ActionName = ""
    builtin_lists: Mapping[str, bool] = {}
    custom_list_keys: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    regexes: tuple[str, ...] = ()


class ModerationPart(_Policy, frozen=True):
    """Harmful content, as a model judges it."""

    enabled: bool = False
    action: ActionName = ""
    model_key: str = ""
    categories: Mapping[str, bool] = {}


class PromptShieldPart(_Policy, frozen=True):
    """Attempts to make the model do what it must not, as a model judges them."""

    enabled: bool = False
    action: ActionName = ""
    model_key: str = ""
    sensitivity: Literal["low", "balanced", "high"] = "balanced"


class Policy(_Policy, frozen=True):
    """Checks of a preset guardrail."""

    pii: PiiPolicyPart = PiiPolicyPart()
    word_filter: WordFilterPart = WordFilterPart()
    moderation: ModerationPart = ModerationPart()
    prompt_shield: PromptShieldPart = PromptShieldPart()


class Guardrail(Closable, frozen=True):
    """One record. `word_lists` are the keys of the lists that the policy uses."""

    id: str
    key: str
    name: str
    type: str
    description: str = ""
    target: str = "both"
    action: str = BLOCK
    enabled: bool = True
    fail_mode: str = CLOSED
    model_key: str = ""
    custom_prompt: str = ""
    policy: Policy = Policy()
    word_lists: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = {}
    created_at: float = 0.0
    updated_at: float = 0.0

    @property
    def judge_keys(self) -> set[str]:
        """Keys of the models that judge."""
        if self.type == CUSTOM:
            return {self.model_key}
        parts = (self.policy.moderation, self.policy.prompt_shield)
        return {part.model_key or self.model_key for part in parts if part.enabled}


@dataclass(frozen=True, slots=True)
class NewGuardrail:
    """The values that a guardrail is made from. An empty key is made from the name; empty texts are the defaults."""

    name: str
    type: str
    key: str = ""
    description: str = ""
    target: str = ""
    action: str = ""
    enabled: bool = True
    fail_mode: str = ""
    model_key: str = ""
    custom_prompt: str = ""
    policy: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GuardrailChanges:
    """Changes of a guardrail. None: unchanged. The policy is replaced as a whole."""

    name: str | None = None
    description: str | None = None
    target: str | None = None
    action: str | None = None
    enabled: bool | None = None
    fail_mode: str | None = None
    model_key: str | None = None
    custom_prompt: str | None = None
    policy: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None


class WordList(Closable, frozen=True):
    """One record."""

    id: str
    key: str
    name: str
    description: str = ""
    language: str = ""
    words: tuple[str, ...] = ()
    created_at: float = 0.0
    updated_at: float = 0.0


@dataclass(frozen=True, slots=True)
class NewWordList:
    """The values that a word list is made from; an empty key is made from the name."""

    name: str
    key: str = ""
    description: str = ""
    language: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WordListChanges:
    """Changes of a word list. None: unchanged."""

    name: str | None = None
    description: str | None = None
    language: str | None = None
    words: tuple[str, ...] | None = None
