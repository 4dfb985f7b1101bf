"""Drivers: how requests to each kind of provider are addressed."""

import pytest

from core.errors import InvalidInput
from core.providers.drivers import CREDENTIALS, SETTINGS
from services.inference.domain.catalogue.drivers import DRIVERS


def test_openai_has_a_default_address() -> None:
    driver = DRIVERS["openai"]
    assert driver.endpoint is not None
    endpoint = driver.endpoint({"organization": "org"}, {"apiKey": "k"})
    assert endpoint.url == "https://api.openai.com/v1"
    assert dict(endpoint.headers) == {"authorization": "Bearer k", "openai-organization": "org"}


def test_a_compatible_server_may_want_no_key() -> None:
    driver = DRIVERS["openai-compatible"]
    assert driver.endpoint is not None
    assert driver.endpoint({"baseUrl": "http://vllm:8000/v1/"}, {}).headers == ()
    assert driver.endpoint({"baseUrl": "http://vllm:8000/v1/"}, {}).url == "http://vllm:8000/v1"


def test_azure_addresses_deployments() -> None:
    driver = DRIVERS["azure-openai"]
    assert driver.endpoint is not None
    assert driver.endpoint({"instanceName": "acme"}, {"apiKey": "k"}).url == "https://acme.openai.azure.com"
    chat = driver.path({"apiVersion": "2025-01-01"}, "llm", "gpt 4/o")
    assert chat == "/openai/deployments/gpt%204%2Fo/chat/completions?api-version=2025-01-01"
    embeddings = driver.path({"apiVersion": "2025-01-01"}, "embedding", "e")
    assert embeddings.endswith("/embeddings?api-version=2025-01-01")
    assert "/deployments/d/" in driver.path({"deploymentName": "d"}, "llm", "m")


@pytest.mark.parametrize("name", [".", ".."])
def test_an_azure_deployment_does_not_lead_to_another_path(name: str) -> None:
    """Dots are not escaped in paths, and servers resolve them."""
    driver = DRIVERS["azure-openai"]
    with pytest.raises(InvalidInput) as refused:
        driver.checked(SETTINGS, {"deploymentName": name})
    assert refused.value.field == "settings.deploymentName"
    with pytest.raises(InvalidInput) as refused:
        driver.path({}, "llm", name)
    assert refused.value.field == "modelId"


@pytest.mark.parametrize("name", ["evil.com/", "a.b", "a b", "-"])
def test_an_azure_resource_is_one_label(name: str) -> None:
    with pytest.raises(InvalidInput):
        DRIVERS["azure-openai"].checked(SETTINGS, {"instanceName": name})


@pytest.mark.parametrize("value", ["a\nb", "a\x00", "ключ", "x" * 9000, {"a": 1}, ["x"]])
def test_values_that_no_header_takes_are_refused(value: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        DRIVERS["openai"].checked(CREDENTIALS, {"apiKey": value})
    assert refused.value.field == "credentials.apiKey"


def test_numbers_become_text_and_empty_values_go() -> None:
    assert DRIVERS["echo"].checked(SETTINGS, {"delayMs": 20}) == {"delayMs": "20"}
    assert DRIVERS["openai"].checked(SETTINGS, {"organization": " "}) == {}


def test_every_field_is_described() -> None:
    for driver in DRIVERS.values():
        assert all(field.label and field.description for field in driver.fields)
