"""The categories of PII, and the check for them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from services.inference.domain.guardrails import held as rules
from services.inference.domain.guardrails import pii_numbers, pii_texts
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
    held: tuple[rules.Rule, ...]
    default: bool = False
    grows: bool = False
    """True if it has no spaces, so that what follows directly belongs to it."""
    digits: bool = False
    """True if it always has digits: it need not be searched where there are none."""


_TOKEN = (rules.tokens,)
_NUMBER = (rules.digits,)

_ALL: Final = (
    Category("email", "E-mail address", MEDIUM, pii_texts.emails, _TOKEN, default=True, grows=True),
    Category("phone", "Phone number", MEDIUM, pii_numbers.phones, _NUMBER, default=True, digits=True),
    Category("creditCard", "Payment card number", HIGH, pii_numbers.credit_cards, _NUMBER, default=True, digits=True),
    Category("tckn", "Turkish identity number", HIGH, pii_numbers.tckn, _NUMBER, default=True, digits=True),
    Category("apiKey", "API key or secret", HIGH, pii_texts.api_keys, _TOKEN, default=True, grows=True),
    Category("iban", "Bank account number (IBAN)", HIGH, pii_numbers.ibans, (rules.tokens, rules.iban), digits=True),
    Category("swift", "Bank identifier code (SWIFT)", MEDIUM, pii_texts.swifts, _TOKEN),
    Category(
        "nationalId",
        "National identity number",
        HIGH,
        pii_numbers.national_ids,
        (rules.tokens, rules.last(24)),
        digits=True,
    ),
    Category("passport", "Passport number", HIGH, pii_numbers.passports, (rules.last(64),), digits=True),
    Category("birthDate", "Date of birth", MEDIUM, pii_numbers.birth_dates, (rules.last(40),), digits=True),
    Category("address", "Postal address", MEDIUM, pii_texts.addresses, (rules.PHRASE,), digits=True),
    Category("ipAddress", "IP address", LOW, pii_texts.ip_addresses, _TOKEN),
    Category("url", "URL", LOW, pii_texts.urls, _TOKEN, grows=True),
    Category("socialHandle", "Name in a social network", LOW, pii_texts.social_handles, _TOKEN),
    Category("cryptoWallet", "Cryptocurrency address", HIGH, pii_texts.crypto_wallets, _TOKEN),
)
CATEGORIES: Final[Mapping[str, Category]] = {each.id: each for each in _ALL}
"""Categories of guardrails, by id."""
DEFAULTS: Final = {each.id: each.default for each in _ALL}


def _named(id: str, like: str, label: str, search: Search | None = None) -> Category:
    known = CATEGORIES[like]
    return Category(
        id, label, known.severity, search or known.search, known.held, known.default, known.grows, known.digits
    )


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
        self._categories = {each.id: each for each in categories}
        self._without_digits = [each for each in self._categories.values() if not each.digits]
        self._held = tuple(dict.fromkeys(rule for each in self._categories.values() for rule in each.held))

    def scan(self, text: str) -> Found:
        view = compatible(text)
        scan = Scan(view.text)
        matches: list[Match] = []
        for each in self._categories.values() if scan.digits else self._without_digits:
            for start, end in each.search(scan):
                grows = each.grows and end == len(view.text)
                matches.append(Match(*view.span(start, end), each.id, each.severity, grows))
        held = 0
        for rule in self._held:
            held = max(held, rule(view.text))
        return Found(merged(matches) if matches else matches, view.at(len(view.text) - held))

    def label(self, category: str) -> str:
        return self._categories[category].label
