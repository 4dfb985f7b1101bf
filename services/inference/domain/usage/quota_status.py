"""Standings of the limits and budgets that hold for a caller's calls."""

from collections.abc import Sequence
from dataclasses import dataclass

from core import fields
from core.context import Identity
from core.quotas.admission import Admission
from core.quotas.policies import DOMAINS, TENANT, TOKEN
from core.quotas.rules import Dimension, Rule, Subject, Window
from core.quotas.standing import Standing

OWN_DOMAINS = ("global", "llm", "embedding", "rerank")
"""Domains of rules whose calls this service counts."""
_DEFAULT = "llm"
_SCOPES = ("", TENANT, TOKEN)
_OF_TENANT = ("plan", TENANT)


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """A limit, and how it stands; None where this service does not know."""

    rule: Rule
    standing: Standing | None


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """The budgets of a day and a month of which least is left; None: there is none."""

    domain: str
    day: Standing | None
    month: Standing | None


class QuotaStatus:
    """Reads how limits stand. `shared`: whether the counts of all services are in one place."""

    def __init__(self, admission: Admission, *, shared: bool) -> None:
        self._admission = admission
        self._shared = shared

    async def limits(self, caller: Identity, domain: str, model: str = "", provider: str = "") -> list[LimitStatus]:
        """Every limit that holds for the caller's calls. Raises InvalidInput, Unavailable."""
        subject = _subject(caller, domain, model, provider)
        standings = {each.rule.key: each for each in await self._admission.standings(subject)}
        rules = await self._admission.rules_for(subject)
        return [
            LimitStatus(rule, standings.get(rule.key) if self._shared or rule.domain in OWN_DOMAINS else None)
            for rule in rules
        ]

    async def budgets(self, caller: Identity, domain: str, model: str = "", scope: str = "") -> BudgetStatus:
        """The tightest budgets that hold for the caller's calls. Raises InvalidInput, Unavailable."""
        fields.one_of("scope", scope, _SCOPES)
        subject = _subject(caller, domain, model)
        wanted = [rule for rule in await self._admission.rules_for(subject) if _is_budget(rule, scope)]
        standings = await self._admission.standings_of(caller.tenant, wanted) if wanted else ()
        return BudgetStatus(subject.domain, _tightest(standings, Window.DAY), _tightest(standings, Window.MONTH))


def _subject(caller: Identity, domain: str, model: str, provider: str = "") -> Subject:
    known = fields.one_of("domain", domain or _DEFAULT, DOMAINS)
    return Subject(caller.project, known, caller.subject, caller.token_id, model, provider)


def _is_budget(rule: Rule, scope: str) -> bool:
    if rule.dimension is not Dimension.SPEND:
        return False
    return not scope or (rule.scope in _OF_TENANT if scope == TENANT else rule.scope == scope)


def _tightest(standings: Sequence[Standing], window: Window) -> Standing | None:
    found = [each for each in standings if each.rule.window is window]
    return min(found, key=lambda each: each.remaining, default=None)
