"""PII that is made of digits: payment cards, phones, bank accounts, identity numbers, dates of birth."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache

import phonenumbers
from stdnum import iban, luhn, numdb
from stdnum.br import cpf
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.in_ import aadhaar
from stdnum.it import codicefiscale
from stdnum.pl import pesel
from stdnum.tr import tckimlik
from stdnum.us import ssn

from services.inference.domain.guardrails.scan import Scan

Span = tuple[int, int]

_CARD_LENGTHS = (
    (re.compile(r"4"), (13, 16, 19)),
    (re.compile(r"5[1-5]|2[2-7]|6[2357]|50|5[6-8]"), (16, 19)),
    (re.compile(r"3[47]"), (15,)),
    (re.compile(r"3[0689]"), (14, 16, 19)),
    (re.compile(r"35|6011|64|9792"), (16, 19)),
)
"""Numbers of digits of the cards of each issuer: Visa, Mastercard and UnionPay and Maestro, American Express, Diners,
and JCB, Discover and Troy."""


def credit_cards(scan: Scan) -> Iterator[Span]:
    for start, end, digits in scan.numbers(13, 19):
        lengths = next((each for prefix, each in _CARD_LENGTHS if prefix.match(digits)), ())
        if len(digits) in lengths and (scan.unchecked() or luhn.is_valid(digits)):
            yield start, end


def tckn(scan: Scan) -> Iterator[Span]:
    """Turkish identity numbers."""
    for start, end, digits in scan.numbers(11, 11):
        if digits[0] != "0" and (scan.unchecked() or tckimlik.is_valid(digits)):
            yield start, end


_NATIONAL: tuple[tuple[int, Callable[[str], bool]], ...] = (
    (11, cpf.is_valid),
    (11, pesel.is_valid),
    (11, idnr.is_valid),
    (12, aadhaar.is_valid),
    (15, nir.is_valid),
)
"""National numbers by how many digits they have: Brazil, Poland, Germany, India, France."""
_SSN = re.compile(r"(?<![\d-])\d{3}([- ])\d{2}\1\d{4}(?![\d-])")
_NHS = re.compile(r"(?<!\d)\d{3} \d{3} \d{4}(?!\d)")
_NINO = re.compile(
    r"(?<![A-Z])(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D](?![A-Z])", re.I
)
_DNI = re.compile(r"(?<![A-Z0-9])(?:[XYZ][ -]?)?\d{7,8}[ -]?[A-Z](?![A-Z])", re.IGNORECASE)
_CODICE = re.compile(
    r"(?<![A-Z])[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPR-T][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z](?![A-Z])", re.IGNORECASE
)


def _any(number: str) -> bool:
    return True


def _is_spanish(number: str) -> bool:
    return dni.is_valid(number) or nie.is_valid(number)


_FORMATTED: tuple[tuple[re.Pattern[str], tuple[int, ...], tuple[int, ...], Callable[[str], bool]], ...] = (
    (_SSN, (3,), (0,), ssn.is_valid),
    (_NHS, (3,), (0,), nhs.is_valid),
    (_NINO, (2, 6), (2, 3), _any),
    (_DNI, (7, 8), (0, 1, 2), _is_spanish),
    (_CODICE, (2,), (6,), codicefiscale.is_valid),
)
"""United States, United Kingdom (two), Spain, Italy. With how many digits the first group has, and how many characters
can stand before it."""


def national_ids(scan: Scan) -> Iterator[Span]:
    """Identity numbers whose form or check digits tell them from other numbers."""
    text = scan.text
    for start, end in scan.groups:
        for pattern, lengths, offsets, valid in _FORMATTED:
            if end - start in lengths:
                for before in offsets:
                    match = pattern.match(text, start - before) if start >= before else None
                    if match and (scan.unchecked() or valid(match.group())):
                        yield match.span()
    for start, end, digits in scan.numbers(11, 15):
        for length, valid in _NATIONAL:
            if len(digits) == length and (scan.unchecked() or valid(digits)):
                yield start, end


def us_ssns(scan: Scan) -> Iterator[Span]:
    for start, _ in scan.groups:
        if (match := _SSN.match(scan.text, start)) and ssn.is_valid(match.group()):
            yield match.span()


_REGIONS = ("US", "TR", "GB", "DE", "FR", "ES", "IT")
"""Countries whose phone numbers are found without their country code."""
_NATIONAL_PHONE = {
    "US": re.compile(r"1?[2-9]\d{2}[2-9]\d{6}"),
    "TR": re.compile(r"0?[2345]\d{9}"),
    "GB": re.compile(r"0[127]\d{8,9}"),
    "DE": re.compile(r"0[1-9]\d{8,10}"),
    "FR": re.compile(r"0[1-9]\d{8}"),
    "ES": re.compile(r"[6789]\d{8}"),
    "IT": re.compile(r"0\d{8,10}|3\d{9}"),
}
_PHONE_FORM = re.compile(r"(?!\d{9}\Z)\d{1,4}?(?:\) ?|[ .\-/]\(?|)\d{2,12}(?:[ .-]\d{2,5}){0,4}")
"""Without a country code: groups of two digits and more after the first. Nine in a row are mostly something else."""


def phones(scan: Scan) -> Iterator[Span]:
    """Phone numbers: with a country code of any country, without one of some."""
    yield from _phones(scan, _REGIONS)


def phones_of(region: str) -> Callable[[Scan], Iterator[Span]]:
    """Phone numbers of one country, with or without its country code."""
    code = str(phonenumbers.country_code_for_region(region))
    return lambda scan: _phones(scan, (region,), code)


def _phones(scan: Scan, regions: tuple[str, ...], code: str = "") -> Iterator[Span]:
    text = scan.text
    for start, end, digits in scan.numbers(7, 15):
        before = text[max(0, start - 2) : start].lstrip(" ")
        international = before.endswith(("+", "+("))
        if international or (digits.startswith("00") and len(digits) > 9):
            number = digits.removeprefix("00") if not international else digits
            if number.startswith(code) and (scan.unchecked() or _valid("+" + number, None)):
                yield start - (2 if before.endswith("+(") else 1 if international else 0), end
            continue
        if not 9 <= len(digits) <= 12 or not _is_phone_form(text[start:end]):
            continue
        for region in regions:
            if _NATIONAL_PHONE[region].fullmatch(digits) and (scan.unchecked() or _valid(digits, region)):
                yield start - (1 if before.endswith("(") else 0), end
                break


def _is_phone_form(text: str) -> bool:
    return _PHONE_FORM.fullmatch(text) is not None and ("." not in text or " " not in text)


@lru_cache(maxsize=4096)
def _valid(number: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


_BBAN = re.compile(r"(\d+)!")


def ibans(scan: Scan) -> Iterator[Span]:
    """International bank account numbers, with or without spaces."""
    text = scan.text
    for first, end in scan.groups:
        start = first - 2
        if start < 0 or end - first < 2 or not text[start:first].isalpha() or text[start - 1 : start].isalnum():
            continue
        end = _end_of(text, start, _iban_length(text[start:first].upper()))
        if end and (scan.unchecked() or iban.is_valid(text[start:end])):
            yield start, end


def ibans_of(country: str) -> Callable[[Scan], Iterator[Span]]:
    return lambda scan: (each for each in ibans(scan) if scan.text[each[0] : each[0] + 2].upper() == country)


@lru_cache(maxsize=1024)
def _iban_length(country: str) -> int:
    """The length in characters of the numbers of a country; 0: it has none."""
    found = numdb.get("iban").info(country)
    form = found[0][1].get("bban", "") if found else ""
    return 4 + sum(map(int, _BBAN.findall(form))) if form else 0


def _end_of(text: str, start: int, length: int) -> int:
    """The position at which `length` letters and digits end; 0: they do not end between two words."""
    for position in range(start, min(len(text), start + 2 * length)):
        length -= text[position].isalnum()
        if not length:
            return 0 if text[position + 1 : position + 2].isalnum() else position + 1
    return 0


_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan ocak januar janvier enero gennaio janeiro",
            "february feb şubat subat februar février febrero febbraio fevereiro",
            "march mar mart märz mars marzo março",
            "april apr nisan avril abril aprile",
            "may mayıs mayis mai mayo maggio maio",
            "june jun haziran juni juin junio giugno junho",
            "july jul temmuz juli juillet julio luglio julho",
            "august aug ağustos agustos août agosto",
            "september sep sept eylül eylul septembre septiembre settembre setembro",
            "october oct ekim oktober octobre octubre ottobre outubro",
            "november nov kasım kasim novembre noviembre novembro",
            "december dec aralık aralik dezember décembre diciembre dicembre dezembro",
        ),
        start=1,
    )
    for name in names.split()
}
_DATE = re.compile(r"(?<![\d./-])(\d{1,2})([-/.])(\d{1,2})\2(\d{4})\Z")
_ISO_DATE = re.compile(r"(?<![\d./-])(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?!\d|[-/]\d)")
_NAMED_DATE = re.compile(
    r"(?<!\w)(?:(?P<d>\d{1,2})(?:st|nd|rd|th|\.)?(?: of| de)? (?P<m>[^\W\d_]{3,10})\.?,?(?: de)? "
    r"|(?P<n>[^\W\d_]{3,10})\.? (?P<e>\d{1,2})(?:st|nd|rd|th)?,? )\d{4}\Z"
)
_LONGEST_DATE = 40


def birth_dates(scan: Scan) -> Iterator[Span]:
    """Full dates on which somebody alive may have been born: any since 1900 that has passed."""
    text = scan.text
    for start, end in scan.groups:
        if end - start != 4 or text[start : start + 2] not in ("19", "20"):
            continue
        year = int(text[start:end])
        if match := _ISO_DATE.match(text, start):
            month, day = int(match[3]), int(match[4])
        elif match := _DATE.search(text, max(0, end - 10), end):
            month, day = int(match[1]), int(match[3])
            if not _passed(year, month, day):
                month, day = day, month
        elif match := _NAMED_DATE.search(text, max(0, end - _LONGEST_DATE), end):
            month, day = _MONTHS.get((match["m"] or match["n"]).lower(), 0), int(match["d"] or match["e"])
        else:
            continue
        if _passed(year, month, day):
            yield match.span()


def _passed(year: int, month: int, day: int) -> bool:
    try:
        return datetime(year, month, day, tzinfo=UTC) < datetime.now(UTC)
    except ValueError:
        return False


_PASSPORT = re.compile(
    r"(?:passport|pasaport|reisepass|passeport|pasaporte|passaporto|passaporte)"
    r"(?:[ -]?(?:no|nr|num|number|numarası|id))?"
    r"(?:\.|\b)[ :#=.-]{0,3}(?:is |: )?([A-Z]{0,2}\d{6,9}[A-Z]?)(?![A-Za-z0-9])",
    re.IGNORECASE,
)


def passports(scan: Scan) -> Iterator[Span]:
    """Passport numbers, of which nothing but the word before tells what they are."""
    if "pas" in scan.lower:
        for match in _PASSPORT.finditer(scan.text):
            yield match.span(1)
