"""The first tenant of a laptop: made through the public API, like anybody's, with the `echo` models to try."""

import json
import secrets
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

from core.secret_files import write_secret

EMAIL = "owner@example.com"
COMPANY = "Default"
TOKEN_FILE = "dev-token"  # noqa: S105  # the name of a file
OWNER_FILE = "dev-owner.json"

_NOT_UP = (502, 503, 504)

PROVIDER = {"key": "echo", "driver": "echo", "label": "Echo", "description": "Answers without any key, for trying out."}
LOCAL_PROVIDER = {"key": "local", "driver": "local", "label": "Local", "description": "Models of this machine."}
MODELS = (
    {"key": "echo", "name": "Echo", "category": "llm", "providerKey": "echo", "modelId": "echo"},
    {
        "key": "echo-embedding",
        "name": "Echo embedding",
        "category": "embedding",
        "providerKey": "echo",
        "modelId": "echo-embedding",
    },
)


class Refused(Exception):
    """The API said no; `status` is HTTP's."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}: {text}")
        self.status = status


class NotUpYet(Exception):
    """A part of the way to the API does not answer; trying again may help."""


def seed(url: str, data: Path, models: Path | None = None) -> str:
    """The token in `<data>/dev-token`, made along with its tenant and models where they are missing: those of the
    driver echo, unless it is turned off, and the local ones whose folders are in `models`. Idempotent."""
    token = _kept_token(url, data / TOKEN_FILE) or _new_token(url, data)
    offered = {driver["id"] for driver in call(url, "GET", "/v1/models/providers/drivers", token=token)["drivers"]}
    local = local_models(models) if models is not None else []
    for provider, of_it in ((PROVIDER, MODELS), (LOCAL_PROVIDER, local)):
        if provider["driver"] in offered and of_it:
            _create(url, token, "/v1/models/providers", provider)
            for model in of_it:
                _create(url, token, "/v1/models", model)
    return token


def local_models(folder: Path) -> list[dict[str, str]]:
    """A model for each of the folders of local models."""
    made = []
    for config in sorted(folder.glob("*/config.json")):
        name = config.parent.name
        ranks = "SequenceClassification" in config.read_text("utf-8")
        category = "rerank" if ranks else "embedding"
        made.append({"key": name, "name": name, "category": category, "providerKey": "local", "modelId": name})
    return made


def _kept_token(url: str, path: Path) -> str | None:
    """The token of an earlier run, if it is still good."""
    if not path.exists():
        return None
    token = path.read_text().strip()
    try:
        call(url, "GET", "/v1/auth/session", token=token)
    except Refused as refusal:
        if refusal.status in (401, 403):
            return None
        raise
    return token


def _new_token(url: str, data: Path) -> str:
    session = _sign_in(url, data / OWNER_FILE)
    made = call(url, "POST", "/v1/tokens", {"label": "dev token", "scopes": ["*"]}, token=session)
    token = str(made["token"])
    write_secret(data / TOKEN_FILE, token + "\n")
    return token


def _sign_in(url: str, owner_file: Path) -> str:
    """A session of the owner, whose account is made at the first time. Its password is kept before it is used, so
    that a crash in between locks nobody out."""
    if not owner_file.exists():
        made = {"email": EMAIL, "password": f"Aa1-{secrets.token_urlsafe(18)}", "slug": COMPANY.lower()}
        write_secret(owner_file, json.dumps(made))
    owner = json.loads(owner_file.read_text())
    try:
        return str(call(url, "POST", "/v1/auth/login", owner)["token"])
    except Refused as refusal:
        if refusal.status != 401:
            raise
    account = {"email": EMAIL, "password": owner["password"], "name": "Owner", "companyName": COMPANY}
    return str(call(url, "POST", "/v1/auth/register", account)["token"])


def _create(url: str, token: str, path: str, record: dict[str, Any]) -> None:
    try:
        call(url, "POST", path, record, token=token)
    except Refused as refusal:
        if refusal.status != 409:  # 409: an earlier run made it
            raise


def call(url: str, method: str, path: str, body: object = None, *, token: str | None = None) -> dict[str, Any]:
    """One REST call. Raises Refused, NotUpYet."""
    request = urllib.request.Request(  # noqa: S310  # our own edge
        url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # our own edge
            answered: dict[str, Any] = json.loads(answer.read())
            return answered
    except urllib.error.HTTPError as refusal:
        if refusal.code in _NOT_UP:
            raise NotUpYet from None
        raise Refused(refusal.code, refusal.read().decode(errors="replace")) from None
    except (OSError, HTTPException):
        raise NotUpYet from None
