"""Names of files: object keys, what is made of them, and the kinds of content. All checks raise InvalidInput."""

import mimetypes
import re
import secrets
import unicodedata
from urllib.parse import unquote

from core import fields
from core.errors import InvalidInput

MAX_KEY = 1024
_MAX_NAME = 255
_MAX_PREFIX = 200
_DEFAULT_TYPE = "application/octet-stream"
_EXTENSION = re.compile(r"\.([A-Za-z0-9]{1,10})")
_TOKEN = r"[A-Za-z0-9!#$&^_.+-]{1,100}"  # noqa: S105  # a token of HTTP's grammar
_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(?:\s*;[ -~]*)?")


def object_key(field: str, value: str) -> str:
    """A key as a caller gave it. What turns into something else when a client decodes it once more is refused, too."""
    return _checked(field, value, MAX_KEY)


def prefix(field: str, value: str) -> str:
    """Check the prefix of a bucket's automatic keys, without a slash at its end; may be empty."""
    return _checked(field, value.removesuffix("/"), _MAX_PREFIX) if value else ""


def automatic_key(before: str, name: str, milliseconds: int) -> str:
    """A new key for a file of this name: readable, and nobody else's."""
    stem, dot, extension = name.rpartition(".")
    found = _EXTENSION.fullmatch(dot + extension) if stem else None
    slug = fields.slug(stem if found else name, "file")
    key = f"{slug}-{milliseconds}-{secrets.token_hex(4)}{found[0].lower() if found else ''}"
    return f"{before}/{key}" if before else key


def file_name(field: str, value: str) -> str:
    """The last part of a path, as some clients send one."""
    name = value.replace("\\", "/").rpartition("/")[2].strip()
    if not name:
        raise InvalidInput(f"{field} must name the file.", field=field)
    if len(name) > _MAX_NAME or _has_control(name):
        raise InvalidInput(
            f"{field} must have at most {_MAX_NAME} characters, none of them a control character.", field=field
        )
    return name


def content_type(field: str, value: str, name: str) -> str:
    """Return the type as given, or else as the name suggests: clients say octet-stream of what they do not know, curl
    of a CSV."""
    value = value.strip()
    if essence(value) in ("", _DEFAULT_TYPE):
        value = mimetypes.guess_type(name, strict=False)[0] or _DEFAULT_TYPE
    if len(value) > _MAX_NAME or not _TYPE.fullmatch(value):
        raise InvalidInput(f"{field} must be a MIME type, such as text/plain.", field=field)
    return value


def essence(content_type: str) -> str:
    """The MIME type without parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def _checked(field: str, value: str, at_most: int) -> str:
    if not 1 <= len(value) <= at_most:
        raise InvalidInput(f"{field} must have 1 to {at_most} characters.", field=field)
    for form in {value, unquote(value)}:
        if "\\" in form or _has_control(form):
            raise InvalidInput(f"{field} must hold neither backslashes nor control characters.", field=field)
        if any(part in ("", ".", "..") for part in form.split("/")):
            raise InvalidInput(f"{field} must have no empty, '.' or '..' part between its slashes.", field=field)
    return value


def _has_control(text: str) -> bool:
    return any(unicodedata.category(each) == "Cc" for each in text)
