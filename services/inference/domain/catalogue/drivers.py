"""The drivers of model providers, as data: the fields of each, and how its requests are addressed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from core.errors import InvalidInput
from core.http.origin import Origin
from core.providers import drivers
from core.providers.drivers import Field, Host, Values, whole_number
from services.inference.ports import Endpoint

ECHO, LOCAL = "echo", "local"
OPENAI, ANTHROPIC, COHERE, TEI = "openai", "anthropic", "cohere", "tei"
"""The wire formats; see `codecs/formats.py`."""
MAX_DELAY_MS = 10_000
_ANTHROPIC_URL = "https://api.anthropic.com"
_ANTHROPIC_VERSION = "2023-06-01"
_COHERE_URL = "https://api.cohere.com"
_OPENAI_URL = "https://api.openai.com/v1"
_AZURE_VERSION = "2024-10-21"


@dataclass(frozen=True)
class ModelDriver(drivers.Driver):
    """`endpoint` makes the address from settings and credentials; None: the driver needs no network.
    `path` gives the path, with the query, of a category of models and a model's name at the provider. `format` is the
    wire format that its servers speak, `categories` are those of the models that it can call."""

    endpoint: Callable[[Values, Values], Endpoint] | None
    path: Callable[[Values, str, str], str]
    format: str = OPENAI
    categories: tuple[str, ...] = ("llm", "embedding")

    async def check(self, credentials: Values, settings: Values) -> None:
        if self.endpoint is not None:
            self.endpoint(settings, credentials)


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


def _check_deployment(path: str, value: str) -> None:
    if value in (".", ".."):
        raise InvalidInput(f"{path} must be the name of a deployment.", field=path)


def _base_url_hosts(credentials: Values, settings: Values) -> Sequence[Host]:
    """The host of a base URL that the tenant gave; the drivers' own are public."""
    if "baseUrl" not in settings:
        return ()
    path = "settings.baseUrl"
    origin = Origin.parse(settings["baseUrl"], field=path)
    return (Host(origin.host, origin.port, path),)


def _openai_endpoint(settings: Values, credentials: Values) -> Endpoint:
    headers = []
    if "apiKey" in credentials:
        headers.append(("authorization", f"Bearer {credentials['apiKey']}"))
    if "organization" in settings:
        headers.append(("openai-organization", settings["organization"]))
    if "project" in settings:
        headers.append(("openai-project", settings["project"]))
    return Endpoint(settings.get("baseUrl", _OPENAI_URL).rstrip("/"), tuple(headers))


_OPENAI_PATHS = {"llm": "/chat/completions", "embedding": "/embeddings", "rerank": "/rerank"}
_TEI_PATHS = {"embedding": "/v1/embeddings", "rerank": "/rerank"}


def _openai_path(settings: Values, category: str, model_id: str) -> str:
    return _OPENAI_PATHS[category]


def _tei_path(settings: Values, category: str, model_id: str) -> str:
    return _TEI_PATHS[category]


def _azure_endpoint(settings: Values, credentials: Values) -> Endpoint:
    instance = settings.get("instanceName")
    if "baseUrl" not in settings and not instance:
        path = "settings.instanceName"
        raise InvalidInput(f"The driver azure-openai needs {path} or settings.baseUrl.", field=path)
    url = settings.get("baseUrl") or f"https://{instance}.openai.azure.com"
    return Endpoint(url.rstrip("/"), (("api-key", credentials["apiKey"]),))


def _azure_path(settings: Values, category: str, model_id: str) -> str:
    deployment = quote(settings.get("deploymentName", model_id), safe="")
    if deployment in (".", ".."):
        raise InvalidInput("No deployment has this name: it would lead to another path.", field="modelId")
    version = quote(settings.get("apiVersion", _AZURE_VERSION), safe="")
    return f"/openai/deployments/{deployment}{_OPENAI_PATHS[category]}?api-version={version}"


def _anthropic_endpoint(settings: Values, credentials: Values) -> Endpoint:
    """The base URL may end in /v1, as some SDKs write it."""
    version = settings.get("anthropicVersion", _ANTHROPIC_VERSION)
    headers = [("x-api-key", credentials["apiKey"]), ("anthropic-version", version)]
    if "anthropicBeta" in settings:
        headers.append(("anthropic-beta", settings["anthropicBeta"]))
    url = settings.get("baseUrl", _ANTHROPIC_URL).rstrip("/").removesuffix("/v1")
    return Endpoint(url, tuple(headers))


def _anthropic_path(settings: Values, category: str, model_id: str) -> str:
    return "/v1/messages"


def _cohere_endpoint(settings: Values, credentials: Values) -> Endpoint:
    """The base URL may end in the version, as the SDKs of some clients write it."""
    url = settings.get("baseUrl", _COHERE_URL).rstrip("/")
    for version in ("/v1", "/v2"):
        url = url.removesuffix(version)
    return Endpoint(url, (("authorization", f"Bearer {credentials['apiKey']}"),))


def _cohere_path(settings: Values, category: str, model_id: str) -> str:
    return "/v2/rerank"


_ORGANIZATION = Field("organization", "Organization", "Sent as OpenAI-Organization.")
_BASE_URL = Field("baseUrl", "Base URL", f"Default: {_OPENAI_URL}.", check=_check_url, destination=True)
_API_KEY = Field("apiKey", "API key", "Sent as a bearer token.", secret=True, required=True)

DRIVERS: dict[str, ModelDriver] = {
    each.id: each
    for each in (
        ModelDriver(
            "openai",
            "OpenAI",
            "OpenAI's own API.",
            (_API_KEY, _ORGANIZATION, Field("project", "Project", "Sent as OpenAI-Project."), _BASE_URL),
            _openai_endpoint,
            _openai_path,
            hosts=_base_url_hosts,
        ),
        ModelDriver(
            "openai-compatible",
            "OpenAI-compatible",
            "Any server that speaks OpenAI's API, and Jina's /rerank: vLLM, llama.cpp, Ollama, Groq, Jina, ...",
            (
                Field("apiKey", "API key", "Sent as a bearer token; leave out where none is wanted.", secret=True),
                Field(
                    "baseUrl",
                    "Base URL",
                    "Where /chat/completions is found, usually ending in /v1.",
                    required=True,
                    check=_check_url,
                    destination=True,
                ),
                _ORGANIZATION,
            ),
            _openai_endpoint,
            _openai_path,
            categories=("llm", "embedding", "rerank"),
            hosts=_base_url_hosts,
        ),
        ModelDriver(
            "azure-openai",
            "Azure OpenAI",
            "Models deployed in an Azure OpenAI resource.",
            (
                Field("apiKey", "API key", "Sent as api-key.", secret=True, required=True),
                Field(
                    "instanceName",
                    "Resource name",
                    "First part of <name>.openai.azure.com.",
                    check=_check_instance,
                    destination=True,
                ),
                Field("baseUrl", "Base URL", "Instead of the resource name.", check=_check_url, destination=True),
                Field("deploymentName", "Deployment", "Default: the model's modelId.", check=_check_deployment),
                Field("apiVersion", "API version", f"Default: {_AZURE_VERSION}."),
            ),
            _azure_endpoint,
            _azure_path,
            hosts=_base_url_hosts,
        ),
        ModelDriver(
            "anthropic",
            "Anthropic",
            "Claude over Anthropic's own API, or any server that speaks its Messages API.",
            (
                Field("apiKey", "API key", "Sent as x-api-key.", secret=True, required=True),
                Field("baseUrl", "Base URL", f"Default: {_ANTHROPIC_URL}.", check=_check_url, destination=True),
                Field("anthropicVersion", "API version", f"Default: {_ANTHROPIC_VERSION}."),
                Field("anthropicBeta", "Beta features", "Sent as anthropic-beta; separated by commas."),
            ),
            _anthropic_endpoint,
            _anthropic_path,
            ANTHROPIC,
            ("llm",),
            hosts=_base_url_hosts,
        ),
        ModelDriver(
            COHERE,
            "Cohere",
            "Rerank models over Cohere's API, version 2.",
            (
                Field("apiKey", "API key", "Sent as a bearer token.", secret=True, required=True),
                Field("baseUrl", "Base URL", f"Default: {_COHERE_URL}.", check=_check_url, destination=True),
            ),
            _cohere_endpoint,
            _cohere_path,
            COHERE,
            ("rerank",),
            hosts=_base_url_hosts,
        ),
        ModelDriver(
            TEI,
            "Text Embeddings Inference",
            "Embedding and rerank models on a server of Hugging Face's text-embeddings-inference.",
            (
                Field("apiKey", "API key", "Sent as a bearer token; leave out where none is wanted.", secret=True),
                Field(
                    "baseUrl",
                    "Base URL",
                    "Where /rerank and /v1/embeddings are found.",
                    required=True,
                    check=_check_url,
                    destination=True,
                ),
            ),
            _openai_endpoint,
            _tei_path,
            TEI,
            ("embedding", "rerank"),
            hosts=_base_url_hosts,
        ),
        ModelDriver(
            LOCAL,
            "Local",
            "Embedding and rerank models that run within Portico, from folders that its operator has put there.",
            (),
            None,
            _openai_path,
            categories=("embedding", "rerank"),
        ),
        ModelDriver(
            ECHO,
            "Echo",
            "Answers with what it was asked: to try Portico without a key.",
            (
                Field(
                    "delayMs",
                    "Delay",
                    f"Milliseconds before each piece, 0 to {MAX_DELAY_MS}; default: 0.",
                    check=whole_number(0, MAX_DELAY_MS),
                ),
            ),
            None,
            _openai_path,
            categories=("llm", "embedding", "rerank"),
        ),
    )
}


def offered_drivers(*, echo: bool, local: bool) -> Mapping[str, ModelDriver]:
    """The drivers that an installation offers, by id; `echo` and `local` say whether it offers these."""
    off = {id for id, offered in ((ECHO, echo), (LOCAL, local)) if not offered}
    return {id: driver for id, driver in DRIVERS.items() if id not in off}
