"""Rules and replicas of quotas for tests."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from core.quotas.admission import Admission
from core.quotas.ports import Ledger, Seed
from core.quotas.rules import Dimension, Rule, Span, Subject, Window
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
    """What is recorded elsewhere; `error` is raised instead."""

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
