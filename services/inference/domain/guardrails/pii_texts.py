"""PII that is made of letters and signs: addresses of mail and places, keys, names in networks."""

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Iterator

import phonenumbers
import re2
from stdnum import bitcoin

from services.inference.domain.guardrails.pii_triggers import STREET_WORD, STREETS
from services.inference.domain.guardrails.scan import Scan

Span = tuple[int, int]

_LOCAL = re.compile(r"[\w.+%'&/=?^`{|}~!#$*-]{1,64}\Z")
_DOMAIN = re.compile(r"\[?(?:[\w-]{1,63}\.){1,8}[^\W\d_](?:[\w-]{0,61}[^\W_])?")
_AT_IN_BRACKETS = re.compile(r"[\[({] ?at ?[\])}]")
_SPELT = re.compile(
    r"[\w.+%-]{1,64} ?(?:[\[({] ?at ?[\])}]) ?[\w-]{1,63}(?: ?(?:[\[({] ?dot ?[\])}]|\.| dot ) ?[\w-]{1,63}){1,4}"
    r"|[\w.+%-]{1,64} at [\w-]{1,63}(?: (?:dot|[\[({]dot[\])}]) [\w-]{1,63}){1,4}",
    re.IGNORECASE,
)


def emails(scan: Scan) -> Iterator[Span]:
    """Mail addresses, written with signs or with the words "at" and "dot"."""
    text = scan.text
    at = text.find("@")
    while at >= 0:
        local = _LOCAL.search(text[max(0, at - 64) : at])
        domain = _DOMAIN.match(text, at + 1) if local else None
        if local and domain:
            yield at - len(local.group()), domain.end()
        at = text.find("@", at + 1)
    if "dot" in scan.lower or ("at" in scan.lower and _AT_IN_BRACKETS.search(scan.lower)):
        for match in _SPELT.finditer(text):
            yield match.span()


_URL = re.compile(r"(?:\b(?:https?|ftps?|wss?|sftp)://|\bwww\.[\w-])[^\s\"'<>`]+", re.IGNORECASE)
_TRAILING = ".,;:!?)]}*_"


def urls(scan: Scan) -> Iterator[Span]:
    for match in _URL.finditer(scan.text):
        yield match.start(), match.start() + len(match.group().rstrip(_TRAILING))


_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\d|\.\d)")
_IPV6 = re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F]{1,4}|:)?(?![\w:])")


def ip_addresses(scan: Scan) -> Iterator[Span]:
    """Addresses of both versions."""
    text = scan.text
    if text.count(".") >= 3:
        for start, end in scan.groups:
            if text[end : end + 1] == "." and (match := _IPV4.match(text, start)) and _is_address(match.group()):
                yield match.span()
    first = text.find(":")
    if first >= 0 and text.count(":") >= 2:
        for match in _IPV6.finditer(text, max(0, first - 4)):
            if len(match.group()) > 2 and _is_address(match.group()):
                yield match.span()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_HANDLE = re.compile(r"(?<![\w@.+%/-])@[A-Za-z_][\w.]{1,29}(?![\w@])(?<!\.)")


def social_handles(scan: Scan) -> Iterator[Span]:
    """Names in social networks, as @name."""
    for match in _HANDLE.finditer(scan.text):
        yield match.span()


_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:sk|pk|rk|whsec)[-_](?:[A-Za-z0-9]+[-_])*[A-Za-z0-9_-]{16,}"
    r"|gh[oprsu]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|gl(?:pat|ptt|dt)-[\w-]{16,}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}|AIza[\w-]{30,}|ya29\.[\w-]{20,}"
    r"|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{20,}|hf_[A-Za-z0-9]{20,}|dop_v1_[a-f0-9]{32,}|SG\.[\w-]{16,}\.[\w-]{16,}"
    r"|(?:ptc|cpeer)_[\w.-]{16,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}(?:\.[\w-]*)?"
    r")"
)
_SECRET = re.compile(r"(?<![\w/+.=-])[A-Za-z0-9_+-]{24,256}")
_LEAST_ENTROPY = 3.5
"""Bits per character, of a text that mixes letters and digits: words and numbers have less."""
_LETTER_THEN_DIGIT = re.compile(r"[A-Za-z_+-]\d|\d[A-Za-z_+-]")


def api_keys(scan: Scan) -> Iterator[Span]:
    """Keys and tokens: with a prefix that tells whose they are, or long and random."""
    for start, end in scan.long_words:
        for match in _KEY.finditer(scan.text, start, end):
            yield match.span()
        for match in _SECRET.finditer(scan.text, start, end):
            text = match.group()
            if len(_LETTER_THEN_DIGIT.findall(text)) >= 3 and _entropy(text) >= _LEAST_ENTROPY and not _is_uuid(text):
                yield match.span()


_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


def _entropy(text: str) -> float:
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


_WALLET = re.compile(
    r"(?<![A-Za-z0-9])(?:0x[0-9a-fA-F]{40}|bc1[a-zA-HJ-NP-Z0-9]{11,71}|[13][1-9A-HJ-NP-Za-km-z]{25,34})(?![A-Za-z0-9])"
)


def crypto_wallets(scan: Scan) -> Iterator[Span]:
    """Addresses of Ethereum and Bitcoin."""
    for start, end in scan.long_words:
        for match in _WALLET.finditer(scan.text, start, end):
            text = match.group()
            if text.startswith("0x") or scan.unchecked() or bitcoin.is_valid(text):
                yield match.span()


_SWIFT = re.compile(r"\b[A-Z]{4}([A-Z]{2})[A-Z0-9]{2}(?:[A-Z0-9]{3})?\b")
_SWIFT_CONTEXT = re.compile(r"\b(?:swift|bic)\b", re.IGNORECASE)
_CONTEXT = 40


def swifts(scan: Scan) -> Iterator[Span]:
    """Bank identifier codes. Words in capitals look alike: a code has a digit, or "SWIFT" or "BIC" before it."""
    for match in _SWIFT.finditer(scan.text):
        if match[1] in phonenumbers.SUPPORTED_REGIONS and (
            any(char.isdigit() for char in match.group())
            or _SWIFT_CONTEXT.search(scan.text, max(0, match.start() - _CONTEXT), match.start())
        ):
            yield match.span()


_ADDRESS = re.compile(
    r"(?<![\w])\d{1,5}[A-Za-z]?,? (?:[^\W\d_][\w.'-]{0,24},? ){1,4}(?:" + STREETS + r")\b\.?"
    r"(?:,? (?:apt|apartment|suite|ste|unit|#)\.? ?\w{1,6})?"
    r"|[^\W\d_][\w.-]{1,24}(?:straße|strasse|str\.|weg|platz|allee|gasse) \d{1,4}[a-z]?\b"
    r"|(?:[^\W\d_][\w.'-]{0,24} ){1,3}(?:mahallesi|mah\.|caddesi|cad\.|sokağı|sokak|sok\.|bulvarı)"
    r"(?:,? ?(?:no|numara)[.:]? ?\d{1,4}(?:/\d{1,4})?)?"
    r"|\d{1,4}(?: ?bis)?,? (?:rue|avenue|boulevard|place|chemin|allée|impasse) (?:[\w'-]{1,24} ?){1,4}"
    r"|\b(?:calle|avenida|paseo|plaza|via|viale|piazza|rua|praça) (?:[^\W\d_][\w.'-]{0,24} ){1,4}\d{1,4}\b"
    r"|\bP\.? ?O\.? ?Box \d{1,6}\b",
    re.IGNORECASE,
)


_STREET_WORD = re2.compile(STREET_WORD)
_NEAR = 120


def addresses(scan: Scan) -> Iterator[Span]:
    """Street and number, as English, German, Turkish, French, Spanish, Italian and Portuguese write them."""
    text = scan.text
    after = 0
    for word in _STREET_WORD.finditer(text):
        start = max(after, word.start() - _NEAR)
        for match in _ADDRESS.finditer(text, start, min(len(text), word.end() + _NEAR)):
            end = match.start() + len(match.group().rstrip())
            yield match.start(), end
            after = max(after, end)
