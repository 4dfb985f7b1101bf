"""The categories of PII, and the check for them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from services.inference.domain.guardrails import held, pii_numbers, pii_texts
from services.inference.domain.guardrails.checks import Found
from services.inference.domain.guardrails.findings import HIGH, LOW, MEDIUM, PII, Match, merged
from services.inference.domain.guardrails.folding import compatible
from services.inference.domain.guardrails.scan import Scan

Search = Callable[[Scan], Iterator[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class Category:
    """One kind of PII."""

    id: str
    label: str
    severity: str
    search: Search
    held: tuple[held.Rule, ...]
    default: bool = False
    grows: bool = False
    """Whether it has no spaces, so that what follows directly belongs to it."""


_TOKEN = (held.tokens,)
_NUMBER = (held.digits,)

_ALL: Final = (
    Category("email", "E-mail address", MEDIUM, pii_texts.emails, _TOKEN, default=True, grows=True),
    Category("phone", "Phone number", MEDIUM, pii_numbers.phones, _NUMBER, default=True),
    Category("creditCard", "Payment card number", HIGH, pii_numbers.credit_cards, _NUMBER, default=True),
    Category("tckn", "Turkish identity number", HIGH, pii_numbers.tckn, _NUMBER, default=True),
    Category("apiKey", "API key or secret", HIGH, pii_texts.api_keys, _TOKEN, default=True, grows=True),
    Category("iban", "Bank account number (IBAN)", HIGH, pii_numbers.ibans, (held.tokens, held.iban)),
    Category("swift", "Bank identifier code (SWIFT)", MEDIUM, pii_texts.swifts, _TOKEN),
    Category("nationalId", "National identity number", HIGH, pii_numbers.national_ids, (held.tokens, held.last(24))),
    Category("passport", "Passport number", HIGH, pii_numbers.passports, (held.last(64),)),
    Category("birthDate", "Date of birth", MEDIUM, pii_numbers.birth_dates, (held.last(40),)),
    Category("address", "Postal address", MEDIUM, pii_texts.addresses, (held.PHRASE,)),
    Category("ipAddress", "IP address", LOW, pii_texts.ip_addresses, _TOKEN),
    Category("url", "URL", LOW, pii_texts.urls, _TOKEN, grows=True),
    Category("socialHandle", "Name in a social network", LOW, pii_texts.social_handles, _TOKEN),
    Category("cryptoWallet", "Cryptocurrency address", HIGH, pii_texts.crypto_wallets, _TOKEN),
)
CATEGORIES: Final[Mapping[str, Category]] = {each.id: each for each in _ALL}
"""Of guardrails, by id."""
DEFAULTS: Final = {each.id: each.default for each in _ALL}


def _named(id: str, like: str, label: str, search: Search | None = None) -> Category:
    known = CATEGORIES[like]
    return Category(id, label, known.severity, search or known.search, known.held, known.default, known.grows)


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
"""Of PII policies, by id."""
POLICY_DEFAULTS: Final = {each.id: each.default for each in _POLICY_CATEGORIES}


class PiiCheck:
    """Searches for some categories of PII."""

    type = PII

    def __init__(self, categories: Iterable[Category], action: str) -> None:
        self.action = action
        self._categories = {each.id: each for each in categories}
        self._held = tuple(dict.fromkeys(rule for each in self._categories.values() for rule in each.held))

    def scan(self, text: str) -> Found:
        view = compatible(text)
        scan = Scan(view.text)
        matches = []
        for each in self._categories.values():
            for start, end in each.search(scan):
                grows = each.grows and end == len(view.text)
                matches.append(Match(*view.span(start, end), each.id, each.severity, grows))
        settled = len(view.text) - max((rule(view.text) for rule in self._held), default=0)
        return Found(merged(matches), view.at(settled))

    def label(self, category: str) -> str:
        return self._categories[category].label
