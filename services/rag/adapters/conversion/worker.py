"""One conversion, as a program: `python -m services.rag.adapters.conversion.worker KIND OUTPUT SECONDS MEMORY BYTES`.

The document is its standard input, a file; OUTPUT is the open file that it writes the Markdown to. On standard output
it says "ready" when it begins to convert, and then, in one line, the outcome: a word of Outcome, and for the log what
went wrong and where. Where it refuses the document before it has loaded anything, the outcome is its first word. Limits
that are met otherwise end it without a word; one that ends without "ready" has not got to the document.
"""

import os
import sys
import zipfile
from enum import StrEnum
from traceback import extract_tb

from services.rag.adapters.conversion import document_tables, encodings, formats, office, sandbox
from services.rag.adapters.conversion.sandbox import Limits

READY = b"ready\n"


class Outcome(StrEnum):
    DONE = "done"
    EMPTY = "empty"
    ENCRYPTED = "encrypted"
    BOMB = "bomb"
    ENTITIES = "entities"
    UNSUPPORTED = "unsupported"
    TIME = "time"
    MEMORY = "memory"
    TOO_LONG = "too-long"
    TOO_DEEP = "too-deep"
    DAMAGED = "damaged"


_OFFICE = "office"
_BY_NAME = {
    "PDFPasswordIncorrect": Outcome.ENCRYPTED,
    "PDFEncryptionError": Outcome.ENCRYPTED,
    "PDFTextExtractionNotAllowed": Outcome.ENCRYPTED,
    "PasswordError": Outcome.ENCRYPTED,
}
"""Errors of libraries that are loaded only where they are needed."""
_BY_TYPE: dict[type[BaseException], Outcome] = {
    MemoryError: Outcome.MEMORY,
    RecursionError: Outcome.TOO_DEEP,
    office.Bomb: Outcome.BOMB,
    office.Entities: Outcome.ENTITIES,
    office.Encrypted: Outcome.ENCRYPTED,
    office.NotOffice: Outcome.UNSUPPORTED,
    encodings.NotText: Outcome.UNSUPPORTED,
    document_tables.TooLong: Outcome.TOO_LONG,
    zipfile.BadZipFile: Outcome.DAMAGED,
}


def main(kind: str, output: int, bounds: Limits) -> None:
    sandbox.apply(bounds)
    status = os.dup(sys.stdout.fileno())
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what libraries print goes nowhere
    try:
        outcome, detail = _convert(kind, output, bounds.output, status), ""
    except BaseException as error:  # the parsers' own errors are of every type, and end here alike
        outcome, detail = _outcome_of(error), _described(error)
    os.write(status, f"{outcome} {detail}\n".encode())


def _convert(kind: str, output: int, at_most: int, status: int) -> Outcome:
    with open(sys.stdin.fileno(), "rb", closefd=False) as document:
        format = office.inspect(document) if kind == _OFFICE else kind
        document.seek(0)
        convert = formats.load(format, at_most)
        sandbox.lock_down()
        os.write(status, READY)
        markdown = convert(document).encode(errors="replace")
    if not markdown.strip():
        return Outcome.EMPTY
    if len(markdown) > at_most:
        return Outcome.TOO_LONG
    with open(output, "wb") as file:
        file.write(markdown)
    return Outcome.DONE


def _outcome_of(error: BaseException) -> Outcome:
    """Told by the error or by what led to it, for libraries put one error around another."""
    seen: BaseException | None = error
    while seen is not None:
        for each in type(seen).__mro__:
            if outcome := _BY_TYPE.get(each) or _BY_NAME.get(each.__name__):
                return outcome
        seen = seen.__cause__ or seen.__context__
    return Outcome.DAMAGED


def _described(error: BaseException) -> str:
    """The type and the place: texts of errors may quote the document."""
    frames = extract_tb(error.__traceback__)
    place = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__} {place}"


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Limits(*map(int, sys.argv[3:6])))
