"""Triggers of the categories of PII: for each, what every text has in which its search finds something.

They are patterns of RE2 over texts that are folded by `folding.compatible`: digits are ASCII's. Letters may be of any
script, and Python's case-insensitive patterns take a dotless i for an i: where the search has such a pattern, its
trigger takes all characters beyond ASCII for letters.
"""

from typing import Final

_LETTER = r"[A-Za-z\x{80}-\x{10ffff}]"

EMAIL: Final = r"@|(?i:dot)|[\[({] ?(?i:at) ?[\])}]"
LONG_NUMBER: Final = r"[0-9](?:[ .\-/()]{0,2}[0-9]){6}"
"""Seven digits of one number, as `Scan.numbers` puts them together."""
LONG_WORD: Final = r"\S{16}"
IBAN: Final = rf"{_LETTER}{{2}}[0-9]{{2}}"
SWIFT: Final = r"[A-Z]{6}"
NATIONAL_ID: Final = rf"{LONG_NUMBER}|{IBAN}|{_LETTER}{{2}} ?[0-9]{{2}} ?[0-9]{{2}}"
"""Most are long numbers; those of Italy and the United Kingdom have letters before two digits."""
PASSPORT: Final = r"(?i:pas[sap])"
BIRTH_DATE: Final = r"(?:19|20)[0-9]{2}"
IP_ADDRESS: Final = r"[0-9]\.[0-9]{1,3}\.|:[0-9a-fA-F]{0,4}:"
URL: Final = r"://|(?i:www\.)"
HANDLE: Final = r"@[A-Za-z_]"

STREETS: Final = (
    r"street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|square|sq|way|place|pl|terrace|ter|highway|hwy"
    r"|parkway|pkwy|circle|cir|trail|alley"
)
STREET_WORD: Final = (
    rf"(?i:\b(?:{STREETS}|rue|chemin|impasse|calle|avenida|paseo|plaza|via|viale|piazza|rua|box)\b"
    r"|straße|strasse|str\.|weg |platz |allee |gasse |mahallesi|mah\.|caddesi|cad\.|sokağı|sokak|sok\.|bulvarı"
    r"|allée|praça)"
)
ADDRESS: Final = rf"(?s:[0-9].*{STREET_WORD}|{STREET_WORD}.*[0-9])"
