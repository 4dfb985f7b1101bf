"""Records of prompts."""

from collections.abc import Mapping
from typing import Any

import msgspec

from core.storage.table import Record

DEV, STAGING, PROD = "dev", "staging", "prod"
ENVIRONMENTS = (DEV, STAGING, PROD)
MAX_HISTORY = 100
"""Deployment events that a prompt keeps; the audit log keeps them all."""


class PromptVersion(Record, frozen=True):
    """One version of a prompt. It never changes."""

    id: str
    prompt_id: str
    number: int
    """1, 2, 3, ... in the order in which they were made. Never used twice."""
    name: str
    template: str
    description: str = ""
    metadata: Mapping[str, Any] = {}
    comment: str = ""
    created_by: str = ""
    created_at: float = 0.0


class VersionRef(msgspec.Struct, frozen=True):
    """A version that a deployment names."""

    id: str
    number: int


class Deployment(msgspec.Struct, frozen=True, rename="camel"):
    """The versions that an environment of a prompt serves, and is to serve next."""

    active: VersionRef | None = None
    """The version that calls get. None: nothing yet."""
    planned: VersionRef | None = None
    """The version that `activate` makes active."""
    previous: VersionRef | None = None
    """The version that `rollback` makes active again."""
    note: str = ""
    updated_by: str = ""
    updated_at: float = 0.0


class DeploymentEvent(msgspec.Struct, frozen=True, rename="camel"):
    """One change of an environment."""

    id: str
    environment: str
    action: str
    version: VersionRef
    note: str = ""
    created_by: str = ""
    created_at: float = 0.0


class Prompt(Record, frozen=True):
    """A prompt with its current version. All that a call needs is in this one record, so that each change is one write:
    of two at the same time one wins, and a process that dies leaves the prompt as it was or as it is to be.

    The current version is copied to the table of versions before another takes its place."""

    id: str
    key: str
    current: PromptVersion
    last_number: int
    """The highest number of a version so far."""
    deployments: Mapping[str, Deployment] = {}
    """Deployments by environment."""
    history: tuple[DeploymentEvent, ...] = ()
    """Newest first, at most MAX_HISTORY."""
    revision: int = 1
    """Counts changes."""
    closing: str | None = None
    """Not None: it is being deleted, and does not exist for anybody."""
    created_by: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0


class PromptComment(Record, frozen=True):
    """A comment of somebody on a version."""

    id: str
    prompt_id: str
    version_id: str
    version_number: int
    content: str
    created_by: str = ""
    created_at: float = 0.0
