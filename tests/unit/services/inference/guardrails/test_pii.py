"""The categories of PII: what is found, what is not, and in how much time it stays bounded."""

import pytest

from services.inference.domain.guardrails.findings import REDACT
from services.inference.domain.guardrails.hold_back import HoldBack
from services.inference.domain.guardrails.pii import CATEGORIES, POLICY_CATEGORIES, PiiCheck
from services.inference.domain.guardrails.scan import CHARACTERS_CHECKED, FEWEST_CHECKED, Scan

SAMPLES = {
    "email": ["john.doe@example.com", "müller@beispiel.de", "john at example dot com", "john [at] example [dot] com"],
    "phone": ["+90 532 123 45 67", "(212) 555-1234", "0532 123 45 67", "+49 30 901820", "00905321234567"],
    "creditCard": ["4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005"],
    "tckn": ["10000000146"],
    "apiKey": ["sk-proj-abcdefghijklmnopqrstuvwxyz123456", "AKIAIOSFODNN7EXAMPLE", "x9Kd72LmQp45ZtRw81Vb3NcY"],
    "iban": ["TR33 0006 1005 1978 6457 8413 26", "DE89370400440532013000", "gb29 nwbk 6016 1331 9268 19"],
    "swift": ["DEUTDEFF500"],
    "nationalId": ["123-45-6789", "AB 12 34 56 C", "12345678Z", "RSSMRA85T10A562S", "529.982.247-25", "44051401359"],
    "birthDate": ["1985-04-12", "12/04/1985", "31.12.1999", "12 March 1985", "March 12, 1985"],
    "address": ["221B Baker Street", "1600 Pennsylvania Ave", "Hauptstraße 12"],
    "ipAddress": ["192.168.10.24", "2001:db8::8a2e:370:7334", "::1"],
    "url": ["https://example.com/a?b=c", "www.example.org/x"],
    "socialHandle": ["@john_doe"],
    "cryptoWallet": ["0x52908400098527886E0F7030069857D2E4169EE7", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"],
}
HARMLESS = {
    "email": ["meet me at example.com", "a@b", "@", "user@localhost"],
    "phone": ["12345", "2024-01-01", "order 123456789"],
    "creditCard": ["4111 1111 1111 1112", "1234 5678 9012 3456"],
    "tckn": ["10000000147", "00000000000"],
    "apiKey": [
        "antidisestablishmentarianism",
        "123456789012345678901234567890",
        "123e4567-e89b-12d3-a456-426614174000",
    ],
    "iban": ["TR33 0006 1005 1978 6457 8413 27", "DE8937040044053201300"],
    "swift": ["DOCUMENT", "HELLOWORLD"],
    "nationalId": ["000-45-6789", "12345678A", "4405140135"],
    "birthDate": ["2999-01-01", "13/13/1985", "1985-02-30"],
    "ipAddress": ["1.2.3", "300.1.1.1", "12:30:45", "a::b::c"],
    "socialHandle": ["a@b.com", "@1"],
    "cryptoWallet": ["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", "0x1234"],
}


def redacted(category: str, text: str) -> str:
    guarded = HoldBack([PiiCheck([CATEGORIES[category]], REDACT)])
    return guarded.push(text) + guarded.flush()


@pytest.mark.parametrize(("category", "value"), [(name, each) for name, values in SAMPLES.items() for each in values])
def test_a_value_is_redacted_and_nothing_else(category: str, value: str) -> None:
    assert redacted(category, f"so, it is {value}, you know") == f"so, it is [REDACTED:{category}], you know"


@pytest.mark.parametrize(("category", "text"), [(name, each) for name, values in HARMLESS.items() for each in values])
def test_what_only_looks_alike_stays(category: str, text: str) -> None:
    assert redacted(category, f"so, it is {text}, you know") == f"so, it is {text}, you know"


def test_a_passport_number_is_told_by_the_word_before() -> None:
    assert redacted("passport", "Passport No: U12345678.") == "Passport No: [REDACTED:passport]."
    assert redacted("passport", "Ticket U12345678.") == "Ticket U12345678."


def test_every_category_has_a_sample() -> None:
    assert SAMPLES.keys() | {"passport"} == CATEGORIES.keys()


@pytest.mark.parametrize(
    "text",
    ["ｊｏｈｎ＠ｅｘａｍｐｌｅ．ｃｏｍ", "jo\u200bhn@exam\u00adple.com", "john\u2060@example.com"],  # noqa: RUF001
)
def test_disguised_characters_hide_nothing(text: str) -> None:
    assert redacted("email", f"a {text} b") == "a [REDACTED:email] b"


def test_arabic_digits_are_digits() -> None:
    card = "4111111111111111".translate({ord("0") + at: 0x660 + at for at in range(10)})
    assert redacted("creditCard", f"no. {card}!") == "no. [REDACTED:creditCard]!"


def test_a_number_beside_another_is_found() -> None:
    assert redacted("creditCard", "pay 12 4111 1111 1111 1111 3 times") == "pay 12 [REDACTED:creditCard] 3 times"


@pytest.mark.parametrize(
    ("category", "value"),
    [
        ("address_en", "221B Baker Street"),
        ("ssn_us", "123-45-6789"),
        ("tc_kimlik", "10000000146"),
        ("tr_phone", "0532 123 45 67"),
        ("tr_iban", "TR330006100519786457841326"),
        ("de_phone", "+49 30 901820"),
    ],
)
def test_the_categories_of_policies(category: str, value: str) -> None:
    (match,) = PiiCheck([POLICY_CATEGORIES[category]], REDACT).scan(f"it is {value}, yes").matches
    assert (match.start, match.end, match.category) == (6, 6 + len(value), category)


def test_categories_of_one_country_leave_others() -> None:
    check = PiiCheck([POLICY_CATEGORIES["tr_iban"], POLICY_CATEGORIES["tr_phone"]], REDACT)
    assert check.scan("it is DE89370400440532013000 or +49 30 901820, yes").matches == []


def test_checks_of_numbers_are_bounded_and_then_hide_too_much_rather_than_too_little() -> None:
    """A text of nothing but card-like numbers must not cost a checksum for each."""
    scan = Scan("4111111111111112, " * 100)
    found = list(CATEGORIES["creditCard"].search(scan))
    checked = FEWEST_CHECKED + len(scan.text) // CHARACTERS_CHECKED
    assert len(found) == max(0, 100 - checked) == 0
    scan = Scan("4111-" * 400)
    assert list(CATEGORIES["creditCard"].search(scan))


@pytest.mark.parametrize(
    "unit", ["@", "a@", "a" * 63 + "@", "4 1 ", "+1", "1.", "::", "at dot ", "x" * 300 + " ", "eyJ"]
)
def test_hostile_texts_take_a_bounded_number_of_matches(unit: str) -> None:
    """None of these may make a search go over the text again and again: each ends, with every category on."""
    text = (unit * 8192)[:8192]
    check = PiiCheck(CATEGORIES.values(), REDACT)
    assert len(check.scan(text).matches) <= 2 * len(text)
