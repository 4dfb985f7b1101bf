"""Canonical content parts as blocks of the Messages API."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from core.errors import InvalidInput
from services.inference.domain.pipeline.native import native_of

Block = dict[str, Any]
_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_PDF = "application/pdf"


def unsupported(field: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"The Messages API cannot take {field}: {why}. Leave it out, or use a model of another provider.",
        reason="UNSUPPORTED_PARAMETER",
        field=field,
    )


def wrong(field: str, what: str) -> InvalidInput:
    return InvalidInput(f"{field} {what}.", field=field)


def blocks_of(content: Any, field: str) -> list[Block]:
    """The blocks of a message's content: a text, parts, or nothing. Blank texts are left out, as the API refuses them
    and they say nothing. Raises InvalidInput."""
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    if not isinstance(content, list):
        raise wrong(field, "must be a text or a list of parts")
    found = (_block(part, f"{field}[{at}]") for at, part in enumerate(content))
    return [block for block in found if block is not None]


def texts_of(content: Any, field: str) -> list[Block]:
    """As `blocks_of`, where the API takes texts only."""
    blocks = blocks_of(content, field)
    for block in blocks:
        if block.get("type") != "text":
            raise unsupported(field, "only text can stand here")
    return blocks


def _block(part: Any, field: str) -> Block | None:
    if (native := native_of(part)) is not None:
        return native
    if isinstance(part, str):
        part = {"type": "text", "text": part}
    if not isinstance(part, dict):
        raise wrong(field, "must be an object")
    kind = part.get("type")
    make = _MAKERS.get(kind) if isinstance(kind, str) else None
    if make is None:
        raise unsupported(field, f"it has no parts of the type {kind!s:.64}")
    block = make(part, field)
    if block is not None and (mark := part.get("cache_control")):
        block["cache_control"] = mark
    return block


def _text(part: Mapping[str, Any], field: str) -> Block | None:
    text = part.get("text", part.get("refusal"))
    if not isinstance(text, str):
        raise wrong(f"{field}.text", "must be a string")
    return {"type": "text", "text": text} if text.strip() else None


def _image(part: Mapping[str, Any], field: str) -> Block:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str):
        raise wrong(f"{field}.image_url.url", "must be a string")
    if not url.startswith("data:"):
        if not url.startswith(("https://", "http://")):
            raise wrong(f"{field}.image_url.url", "must be an http, https or data URL")
        return {"type": "image", "source": {"type": "url", "url": url}}
    kind, data = _data_url(url, f"{field}.image_url.url")
    kind = "image/jpeg" if kind == "image/jpg" else kind
    if kind not in _IMAGES:
        raise unsupported(f"{field}.image_url.url", f"images of the type {kind:.64} are not among {_listed(_IMAGES)}")
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}


def _file(part: Mapping[str, Any], field: str) -> Block:
    file = part.get("file")
    if not isinstance(file, dict):
        raise wrong(f"{field}.file", "must be an object")
    block: Block = {"type": "document", "source": _document(file, f"{field}.file")}
    if isinstance(name := file.get("filename"), str) and name:
        block["title"] = name
    return block


def _document(file: Mapping[str, Any], field: str) -> Block:
    data = file.get("file_data")
    if not isinstance(data, str):
        if isinstance(id := file.get("file_id"), str) and id:
            return {"type": "file", "file_id": id}
        raise wrong(f"{field}.file_data", "must be a data URL")
    if data.startswith(("https://", "http://")):
        return {"type": "url", "url": data}
    kind, content = _data_url(data, f"{field}.file_data") if data.startswith("data:") else (_PDF, data)
    if kind == _PDF:
        return {"type": "base64", "media_type": _PDF, "data": content}
    if not kind.startswith("text/") and kind != "application/json":
        raise unsupported(f"{field}.file_data", f"documents are PDF or text, not {kind:.64}")
    try:
        text = base64.b64decode(content, validate=True).decode()
    except (binascii.Error, ValueError):
        raise wrong(f"{field}.file_data", "must be base64 of UTF-8 text") from None
    return {"type": "text", "media_type": "text/plain", "data": text}


def _data_url(url: str, field: str) -> tuple[str, str]:
    """Media type and base64 of a data URL."""
    head, comma, data = url[5:].partition(",")
    kind, *parameters = (part.strip().lower() for part in head.split(";"))
    if not comma or "base64" not in parameters:
        raise wrong(field, "must be a data URL in base64")
    return kind, data


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))


_MAKERS: dict[str, Callable[[Mapping[str, Any], str], Block | None]] = {
    "text": _text,
    "refusal": _text,
    "image_url": _image,
    "file": _file,
}
