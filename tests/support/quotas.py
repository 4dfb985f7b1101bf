"""Rules and replicas of quotas for tests."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from core.quotas.admission import Admission
from core.quotas.policies import QUOTA_POLICIES, QuotaPolicy
from core.quotas.ports import Ledger, Seed
from core.quotas.rules import Dimension, Rule, Span, Subject, Window
from core.storage.ports import DocumentStore
from core.storage.table import Table
from core.tasks import Tasks
from core.tenancy import Project, Tenant

ACME = Tenant("acme")
SHOP = Project(ACME, "shop")
SUBJECT = Subject(SHOP, "llm", user="ada", token="t1", model="chat", provider="echo")
REQUESTS = Rule("tenant", "", "llm", Dimension.REQUESTS, Window.MONTH, 100)
TOKENS = replace(REQUESTS, dimension=Dimension.TOKENS)
SPEND = replace(REQUESTS, dimension=Dimension.SPEND)


@dataclass
class FixedRules:
    """The same rules for every subject."""

    rules: tuple[Rule, ...]

    def known(self, subject: Subject) -> tuple[Rule, ...]:
        return self.rules

    async def find(self, subject: Subject) -> tuple[Rule, ...]:
        return self.rules


@dataclass
class Recorded:
    """An amount that is recorded elsewhere; `error` is raised instead."""

    amount: int = 0
    error: Exception | None = None
    reads: int = 0

    async def __call__(self, tenant: Tenant, rule: Rule, span: Span) -> int:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return self.amount


def replica(ledger: Ledger, *rules: Rule, seeds: Mapping[Dimension, Seed] | None = None) -> Admission:
    """The admission of one replica."""
    return Admission(ledger, FixedRules(rules), seeds or {}, Tasks())


async def limit(store: DocumentStore, limits: Mapping[str, int], **more: Any) -> None:
    """Add a policy to the store of ACME: by default one of the whole tenant, for all domains."""
    now = time.time()
    fields = {"id": uuid4().hex, "created_at": now, "updated_at": now, "scope": "tenant", "domain": "global"}
    await Table(store, QUOTA_POLICIES, QuotaPolicy).insert(ACME, QuotaPolicy(**{**fields, "limits": limits, **more}))
