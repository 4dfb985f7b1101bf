"""The kinds of providers, as data: what each wants to know, and how its requests are addressed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from core.errors import InvalidInput
from services.inference.ports import Endpoint

Values = Mapping[str, str]

ECHO = "echo"
CREDENTIALS, SETTINGS = "credentials", "settings"
MAX_DELAY_MS = 10_000
_MAX_VALUE = 8192
_OPENAI_URL = "https://api.openai.com/v1"
_AZURE_VERSION = "2024-10-21"


@dataclass(frozen=True, slots=True)
class Field:
    """A credential or setting of a driver. `check` raises InvalidInput by `(path, value)`."""

    name: str
    label: str
    scope: str
    description: str
    required: bool = False
    check: Callable[[str, str], None] | None = None


@dataclass(frozen=True, slots=True)
class Driver:
    """`endpoint` makes the address from settings and credentials; None: the driver needs no network.
    `paths` gives chat's and embeddings' path, with the query, for a model's name at the provider."""

    id: str
    label: str
    description: str
    fields: tuple[Field, ...]
    endpoint: Callable[[Values, Values], Endpoint] | None
    paths: Callable[[Values, str], tuple[str, str]]

    def fields_of(self, scope: str) -> dict[str, Field]:
        return {field.name: field for field in self.fields if field.scope == scope}

    def checked(self, scope: str, given: Mapping[str, Any]) -> dict[str, str]:
        """The values of one scope, without empty ones. Raises InvalidInput for unknown, missing and malformed ones."""
        fields = self.fields_of(scope)
        values = {name: _text(f"{scope}.{name}", name in fields, value) for name, value in given.items()}
        values = {name: value for name, value in values.items() if value}
        for name, field in fields.items():
            path = f"{scope}.{name}"
            if field.required and name not in values:
                raise InvalidInput(f"The driver {self.id} needs {path}: {field.description}", field=path)
            if field.check and name in values:
                field.check(path, values[name])
        return values


def driver(id: str) -> Driver:
    """Raises InvalidInput."""
    if id not in DRIVERS:
        raise InvalidInput(f"driver must be one of {', '.join(DRIVERS)}.", field="driver")
    return DRIVERS[id]


def _text(path: str, known: bool, value: object) -> str:
    if not known:
        raise InvalidInput(f"The driver has no {path}.", field=path)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > _MAX_VALUE or not value.isascii() or not (value or "x").isprintable():
        raise InvalidInput(f"{path} must be a text of at most {_MAX_VALUE} printable ASCII characters.", field=path)
    return value.strip()


def _check_url(path: str, value: str) -> None:
    try:
        parts = urlsplit(value)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        raise InvalidInput(f"{path} is not a URL.", field=path) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_fits or " " in value:
        raise InvalidInput(f"{path} must be an http or https URL.", field=path)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InvalidInput(f"{path} must have neither credentials nor a query.", field=path)


def _check_instance(path: str, value: str) -> None:
    if not value.replace("-", "").isalnum():
        raise InvalidInput(f"{path} must be the first part of the resource's host name.", field=path)


def _check_delay(path: str, value: str) -> None:
    if not value.isdecimal() or int(value) > MAX_DELAY_MS:
        raise InvalidInput(f"{path} must be 0 to {MAX_DELAY_MS} milliseconds.", field=path)


def _openai_endpoint(settings: Values, credentials: Values) -> Endpoint:
    headers = []
    if "apiKey" in credentials:
        headers.append(("authorization", f"Bearer {credentials['apiKey']}"))
    if "organization" in settings:
        headers.append(("openai-organization", settings["organization"]))
    if "project" in settings:
        headers.append(("openai-project", settings["project"]))
    return Endpoint(settings.get("baseUrl", _OPENAI_URL).rstrip("/"), tuple(headers))


def _openai_paths(settings: Values, model_id: str) -> tuple[str, str]:
    return "/chat/completions", "/embeddings"


def _azure_endpoint(settings: Values, credentials: Values) -> Endpoint:
    instance = settings.get("instanceName")
    if "baseUrl" not in settings and not instance:
        path = "settings.instanceName"
        raise InvalidInput(f"The driver azure-openai needs {path} or settings.baseUrl.", field=path)
    url = settings.get("baseUrl") or f"https://{instance}.openai.azure.com"
    return Endpoint(url.rstrip("/"), (("api-key", credentials["apiKey"]),))


def _azure_paths(settings: Values, model_id: str) -> tuple[str, str]:
    deployment = quote(settings.get("deploymentName", model_id), safe="")
    version = quote(settings.get("apiVersion", _AZURE_VERSION), safe="")
    base = f"/openai/deployments/{deployment}"
    return f"{base}/chat/completions?api-version={version}", f"{base}/embeddings?api-version={version}"


_ORGANIZATION = Field("organization", "Organization", SETTINGS, "Sent as OpenAI-Organization.")
_BASE_URL = Field("baseUrl", "Base URL", SETTINGS, f"Default: {_OPENAI_URL}.", check=_check_url)
_API_KEY = Field("apiKey", "API key", CREDENTIALS, "Sent as a bearer token.", required=True)

DRIVERS: dict[str, Driver] = {
    each.id: each
    for each in (
        Driver(
            "openai",
            "OpenAI",
            "OpenAI's own API.",
            (_API_KEY, _ORGANIZATION, Field("project", "Project", SETTINGS, "Sent as OpenAI-Project."), _BASE_URL),
            _openai_endpoint,
            _openai_paths,
        ),
        Driver(
            "openai-compatible",
            "OpenAI-compatible",
            "Any server that speaks OpenAI's API: vLLM, llama.cpp, Ollama, Groq, Together, OpenRouter, ...",
            (
                Field("apiKey", "API key", CREDENTIALS, "Sent as a bearer token; leave out where none is wanted."),
                Field(
                    "baseUrl",
                    "Base URL",
                    SETTINGS,
                    "Where /chat/completions is found, usually ending in /v1.",
                    required=True,
                    check=_check_url,
                ),
                _ORGANIZATION,
            ),
            _openai_endpoint,
            _openai_paths,
        ),
        Driver(
            "azure-openai",
            "Azure OpenAI",
            "Models deployed in an Azure OpenAI resource.",
            (
                Field("apiKey", "API key", CREDENTIALS, "Sent as api-key.", required=True),
                Field(
                    "instanceName",
                    "Resource name",
                    SETTINGS,
                    "First part of <name>.openai.azure.com.",
                    check=_check_instance,
                ),
                Field("baseUrl", "Base URL", SETTINGS, "Instead of the resource name.", check=_check_url),
                Field("deploymentName", "Deployment", SETTINGS, "Default: the model's modelId."),
                Field("apiVersion", "API version", SETTINGS, f"Default: {_AZURE_VERSION}."),
            ),
            _azure_endpoint,
            _azure_paths,
        ),
        Driver(
            ECHO,
            "Echo",
            "Answers with what it was asked: to try Portico without a key.",
            (
                Field(
                    "delayMs",
                    "Delay",
                    SETTINGS,
                    f"Milliseconds before each piece, 0 to {MAX_DELAY_MS}; default: 0.",
                    check=_check_delay,
                ),
            ),
            None,
            _openai_paths,
        ),
    )
}
