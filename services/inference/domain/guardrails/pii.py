"""The categories of PII, and the check for them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from services.inference.domain.guardrails import held as rules
from services.inference.domain.guardrails import pii_numbers, pii_texts
from services.inference.domain.guardrails import pii_triggers as triggers
from services.inference.domain.guardrails.checks import Found
from services.inference.domain.guardrails.findings import HIGH, LOW, MEDIUM, PII, Match, merged
from services.inference.domain.guardrails.folding import compatible
from services.inference.domain.guardrails.scan import Scan
from services.inference.domain.guardrails.triggers import Triggers

Search = Callable[[Scan], Iterator[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class Category:
    """One kind of PII."""

    id: str
    label: str
    severity: str
    search: Search
    trigger: str
    """A pattern of RE2, quick to look for, that every text meets in which the search finds something."""
    held: tuple[rules.Rule, ...]
    default: bool = False
    grows: bool = False
    """True if it has no spaces, so that what follows directly belongs to it."""


_TOKEN = (rules.TOKENS,)
_NUMBER = (rules.NUMBER,)

_ALL: Final = (
    Category("email", "E-mail address", MEDIUM, pii_texts.emails, triggers.EMAIL, _TOKEN, default=True, grows=True),
    Category("phone", "Phone number", MEDIUM, pii_numbers.phones, triggers.LONG_NUMBER, _NUMBER, default=True),
    Category(
        "creditCard", "Payment card number", HIGH, pii_numbers.credit_cards, triggers.LONG_NUMBER, _NUMBER, default=True
    ),
    Category("tckn", "Turkish identity number", HIGH, pii_numbers.tckn, triggers.LONG_NUMBER, _NUMBER, default=True),
    Category(
        "apiKey", "API key or secret", HIGH, pii_texts.api_keys, triggers.LONG_WORD, _TOKEN, default=True, grows=True
    ),
    Category("iban", "Bank account number (IBAN)", HIGH, pii_numbers.ibans, triggers.IBAN, (*_TOKEN, rules.IBAN)),
    Category("swift", "Bank identifier code (SWIFT)", MEDIUM, pii_texts.swifts, triggers.SWIFT, _TOKEN),
    Category(
        "nationalId",
        "National identity number",
        HIGH,
        pii_numbers.national_ids,
        triggers.NATIONAL_ID,
        (*_TOKEN, rules.last(24)),
    ),
    Category("passport", "Passport number", HIGH, pii_numbers.passports, triggers.PASSPORT, (rules.last(64),)),
    Category("birthDate", "Date of birth", MEDIUM, pii_numbers.birth_dates, triggers.BIRTH_DATE, (rules.last(40),)),
    Category("address", "Postal address", MEDIUM, pii_texts.addresses, triggers.ADDRESS, (rules.PHRASE,)),
    Category("ipAddress", "IP address", LOW, pii_texts.ip_addresses, triggers.IP_ADDRESS, _TOKEN),
    Category("url", "URL", LOW, pii_texts.urls, triggers.URL, _TOKEN, grows=True),
    Category("socialHandle", "Name in a social network", LOW, pii_texts.social_handles, triggers.HANDLE, _TOKEN),
    Category("cryptoWallet", "Cryptocurrency address", HIGH, pii_texts.crypto_wallets, triggers.LONG_WORD, _TOKEN),
)
CATEGORIES: Final[Mapping[str, Category]] = {each.id: each for each in _ALL}
"""Categories of guardrails, by id."""
DEFAULTS: Final = {each.id: each.default for each in _ALL}


def _named(id: str, like: str, label: str, search: Search | None = None) -> Category:
    known = CATEGORIES[like]
    return replace(known, id=id, label=label, search=search or known.search)


_POLICY_CATEGORIES = (
    *(CATEGORIES[id] for id in ("email", "phone", "creditCard", "iban", "swift", "ipAddress", "url", "socialHandle")),
    *(CATEGORIES[id] for id in ("apiKey", "cryptoWallet", "birthDate")),
    _named("address_en", "address", "Postal address"),
    _named("ssn_us", "nationalId", "US social security number", pii_numbers.us_ssns),
    _named("passport_en", "passport", "Passport number"),
    _named("tc_kimlik", "tckn", "Turkish identity number"),
    _named("tr_phone", "phone", "Turkish phone number", pii_numbers.phones_of("TR")),
    _named("tr_iban", "iban", "Turkish bank account number (IBAN)", pii_numbers.ibans_of("TR")),
    _named("de_phone", "phone", "German phone number", pii_numbers.phones_of("DE")),
)
POLICY_CATEGORIES: Final[Mapping[str, Category]] = {each.id: each for each in _POLICY_CATEGORIES}
"""Categories of PII policies, by id."""
POLICY_DEFAULTS: Final = {each.id: each.default for each in _POLICY_CATEGORIES}


class PiiCheck:
    """Searches for some categories of PII."""

    type = PII

    def __init__(self, categories: Iterable[Category], action: str) -> None:
        self.action = action
        categories = tuple(categories)
        self._labels = {each.id: each.label for each in categories}
        by_trigger: dict[str, list[Category]] = {}
        for each in categories:
            by_trigger.setdefault(each.trigger, []).append(each)
        self._triggers = Triggers(by_trigger)
        self._triggered = tuple(by_trigger.values())
        self._held = rules.longest(rule for each in categories for rule in each.held)

    def scan(self, text: str) -> Found:
        view = compatible(text)
        matches: list[Match] = []
        if met := self._triggers.met(view.text):
            scan = Scan(view.text)
            for each in chain.from_iterable(map(self._triggered.__getitem__, met)):
                for start, end in each.search(scan):
                    grows = each.grows and end == len(view.text)
                    matches.append(Match(*view.span(start, end), each.id, each.severity, grows))
        return Found(merged(matches) if matches else matches, view.at(len(view.text) - self._held(view.text)))

    def label(self, category: str) -> str:
        return self._labels[category]
