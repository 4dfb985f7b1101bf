"""Providers and models: how they are kept, and that the next call follows their changes."""

import asyncio
import json
from typing import Any

import grpc
import pytest

from portico.inference.v1 import model_service_pb2, provider_service_pb2
from tests.support import fake_provider as fake
from tests.support.fake_provider import FakeProvider
from tests.support.inference_harness import API_KEY, Caller, Harness, field_of, reason_of, refused

pytestmark = pytest.mark.each_store


class TestProvidersAndModels:
    async def test_credentials_never_come_out(
        self, harness: Harness, caller: Caller, provider: FakeProvider, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Looks for the key everywhere: in answers, errors, logs and all files."""
        provider.behaviour = fake.in_turn(
            fake.refuses(
                400,
                json.dumps({"error": {"message": f"bad key {API_KEY} here", "innererror": {"of": API_KEY}}}).encode(),
            ),
            fake.sends(b'data: {"error":{"message":"bad key ' + API_KEY.encode() + b'"}}\n\n'),
            fake.sends(fake.chunk({"content": "a"}), b'error: {"message":"bad key ' + API_KEY.encode() + b'"}\n\n'),
            fake.answers(),
        )
        caller.rest = True
        seen = []
        for call in (caller.chat(), caller.stream()):
            error = await refused(call)
            seen += [error.details(), str(error.trailing_metadata())]
        caller.rest = False
        seen.append(str(await caller.stream()))
        seen.append(str(await caller.chat()))
        listed = await harness.providers.ListProviders(
            provider_service_pb2.ListProvidersRequest(), metadata=caller.metadata
        )
        assert listed.providers[0].has_credentials
        models = model_service_pb2.ListModelsRequest(include_providers=True)
        seen += [str(listed), str(await harness.models.ListModels(models, metadata=caller.metadata))]
        seen.append(str(await caller.records(4)))
        await harness.running.platform.store.check()
        files = [path.read_bytes() for path in harness.folder.rglob("*") if path.is_file()]
        assert files
        assert not any(API_KEY in text for text in seen if text)
        assert not any(API_KEY.encode() in data for data in files)
        out, err = capfd.readouterr()
        assert API_KEY not in out + err

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"driver": "nope"}, "driver"),
            ({"label": ""}, "label"),
            ({"label": "x" * 201}, "label"),
            ({"key": "Not Ok"}, "key"),
            ({"key": "-x"}, "key"),
            ({"driver": "openai", "credentials": {}}, "credentials.apiKey"),
            ({"driver": "echo", "credentials": {"apiKey": "x"}}, "credentials.apiKey"),
            ({"driver": "openai", "credentials": {"apiKey": "a\r\nX-Evil: 1"}}, "credentials.apiKey"),
            ({"driver": "openai-compatible", "settings": {}}, "settings.baseUrl"),
            ({"driver": "openai-compatible", "settings": {"baseUrl": "ftp://x"}}, "settings.baseUrl"),
            ({"driver": "openai-compatible", "settings": {"baseUrl": "http://u:p@h/"}}, "settings.baseUrl"),
            ({"driver": "openai-compatible", "settings": {"baseUrl": "http://169.254.169.254/v1"}}, "settings.baseUrl"),
            ({"driver": "openai-compatible", "settings": {"baseUrl": "http://10.0.0.1"}}, "settings.baseUrl"),
            ({"driver": "azure-openai", "credentials": {"apiKey": "k"}}, "settings.instanceName"),
            ({"settings": {"other": 1}}, "settings.other"),
            ({"settings": {"delayMs": -1}}, "settings.delayMs"),
            ({"status": "broken"}, "status"),
            ({"metadata": {"x": "y" * 20_000}}, "metadata"),
        ],
    )
    async def test_a_bad_provider_names_its_field(self, harness: Harness, changes: dict[str, Any], field: str) -> None:
        error = await refused(harness.caller().provider(**changes))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert field_of(error) == field

    @pytest.mark.parametrize(
        ("changes", "code", "field"),
        [
            ({"provider_key": "nope"}, grpc.StatusCode.NOT_FOUND, "providerKey"),
            ({"category": "video"}, grpc.StatusCode.INVALID_ARGUMENT, "category"),
            ({"name": " "}, grpc.StatusCode.INVALID_ARGUMENT, "name"),
            ({"key": "with space"}, grpc.StatusCode.INVALID_ARGUMENT, "key"),
            ({"key": "k" * 129}, grpc.StatusCode.INVALID_ARGUMENT, "key"),
            ({"model_id": ""}, grpc.StatusCode.INVALID_ARGUMENT, "modelId"),
            ({"settings": {"extra_body": {"model": "x"}}}, grpc.StatusCode.INVALID_ARGUMENT, "settings.extraBody"),
            (
                {"settings": {"unsupported_params": ["messages"]}},
                grpc.StatusCode.INVALID_ARGUMENT,
                "settings.unsupportedParams",
            ),
            ({"settings": {"timeout_seconds": -1}}, grpc.StatusCode.INVALID_ARGUMENT, "settings.timeoutSeconds"),
            ({"pricing": {"currency": "dollars"}}, grpc.StatusCode.INVALID_ARGUMENT, "pricing.currency"),
            (
                {"pricing": {"input_token_per_1m": float("nan")}},
                grpc.StatusCode.INVALID_ARGUMENT,
                "pricing.inputTokenPer1M",
            ),
        ],
    )
    async def test_a_bad_model_names_its_field(
        self, caller: Caller, changes: dict[str, Any], code: grpc.StatusCode, field: str
    ) -> None:
        error = await refused(caller.model(**{"key": "new", **changes}))
        assert (error.code(), field_of(error)) == (code, field)

    async def test_keys_are_unique_in_a_project_and_made_up_where_missing(
        self, harness: Harness, caller: Caller
    ) -> None:
        assert (await refused(caller.model())).code() is grpc.StatusCode.ALREADY_EXISTS
        made = await asyncio.gather(*(caller.model(key="", name="My Möddel") for _ in range(3)))
        assert sorted(each.key for each in made) == ["my-moddel", "my-moddel-2", "my-moddel-3"]
        elsewhere = harness.caller(project="p2")
        await elsewhere.provider()
        await elsewhere.model()

    async def test_the_list_offers_what_can_be_used(self, harness: Harness, caller: Caller) -> None:
        await caller.model(key="e", category="embedding")
        await caller.model(key="o", category="ocr")
        await caller.provider(key="off", status="disabled")
        await caller.model(key="idle", provider_key="off")
        listed = await harness.models.ListModels(model_service_pb2.ListModelsRequest(), metadata=caller.metadata)
        assert listed.object == "list"
        assert {each.id for each in listed.data} == {"m", "e"}
        assert {each.key for each in listed.models} == {"m", "e", "o", "idle"}
        assert {each.owned_by for each in listed.data} == {"p"}
        request = model_service_pb2.ListModelsRequest(category="llm", provider_driver="echo")
        listed = await harness.models.ListModels(request, metadata=caller.metadata)
        assert [each.key for each in listed.models] == ["idle"]

    async def test_a_status_that_no_provider_has_is_refused(self, harness: Harness, caller: Caller) -> None:
        """It answered an empty list."""
        request = provider_service_pb2.ListProvidersRequest(status="odd")
        error = await refused(harness.providers.ListProviders(request, metadata=caller.metadata))
        assert (error.code(), field_of(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "status")

    async def test_providers_are_listed_to_who_may_see_them(self, harness: Harness, caller: Caller) -> None:
        request = model_service_pb2.ListModelsRequest(include_providers=True)
        reader = harness.caller(scopes=["inference:read"])
        error = await refused(harness.models.ListModels(request, metadata=reader.metadata))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        listed = await harness.models.ListModels(request, metadata=caller.metadata)
        assert [each.key for each in listed.providers] == ["p"]

    async def test_providers_and_drivers_tell_the_categories_of_models(self, harness: Harness, caller: Caller) -> None:
        listed = await harness.providers.ListProviders(
            provider_service_pb2.ListProvidersRequest(), metadata=caller.metadata
        )
        wanted = provider_service_pb2.GetProviderRequest(id="p")
        got = await harness.providers.GetProvider(wanted, metadata=caller.metadata)
        drivers = await harness.providers.ListDrivers(
            provider_service_pb2.ListDriversRequest(), metadata=caller.metadata
        )
        request = model_service_pb2.ListModelsRequest(include_providers=True)
        included = await harness.models.ListModels(request, metadata=caller.metadata)
        assert list(listed.providers) == list(included.providers) == [got.provider]
        assert list(got.provider.capabilities.categories) == ["llm", "embedding", "rerank"]
        told = {each.id: tuple(each.capabilities.categories) for each in drivers.drivers}
        assert told.pop("anthropic") == ("llm",)
        assert (told.pop("cohere"), told.pop("tei")) == (("rerank",), ("embedding", "rerank"))
        assert set(told.values()) <= {("llm", "embedding"), ("llm", "embedding", "rerank")}

    async def test_a_provider_in_use_stays(self, harness: Harness, caller: Caller) -> None:
        delete = provider_service_pb2.DeleteProviderRequest(id="p")
        error = await refused(harness.providers.DeleteProvider(delete, metadata=caller.metadata))
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        await harness.models.DeleteModel(model_service_pb2.DeleteModelRequest(id="m"), metadata=caller.metadata)
        assert (await harness.providers.DeleteProvider(delete, metadata=caller.metadata)).success
        error = await refused(harness.providers.DeleteProvider(delete, metadata=caller.metadata))
        assert error.code() is grpc.StatusCode.NOT_FOUND

    async def test_an_update_changes_what_it_names(self, harness: Harness, caller: Caller) -> None:
        update = model_service_pb2.UpdateModelRequest(id="m", name="New")
        model = (await harness.models.UpdateModel(update, metadata=caller.metadata)).model
        assert (model.name, model.model_id, model.pricing.input_token_per_1m) == ("New", "upstream-model", 2.0)
        by_id = model_service_pb2.GetModelRequest(id=model.id)
        got = await harness.models.GetModel(by_id, metadata=caller.metadata)
        assert (got.id, got.object, got.owned_by, got.model.name) == ("m", "model", "p", "New")

    async def test_strangers_see_nothing(self, harness: Harness, caller: Caller) -> None:
        for stranger in (harness.caller(tenant="globex"), harness.caller(project="p2")):
            for call in (
                harness.models.GetModel(model_service_pb2.GetModelRequest(id="m"), metadata=stranger.metadata),
                harness.providers.GetProvider(
                    provider_service_pb2.GetProviderRequest(id="p"), metadata=stranger.metadata
                ),
                harness.models.UpdateModel(
                    model_service_pb2.UpdateModelRequest(id="m", name="x"), metadata=stranger.metadata
                ),
                harness.models.DeleteModel(model_service_pb2.DeleteModelRequest(id="m"), metadata=stranger.metadata),
            ):
                assert (await refused(call)).code() is grpc.StatusCode.NOT_FOUND


class TestChanges:
    async def test_the_next_call_uses_what_a_provider_was_changed_to(
        self, harness: Harness, caller: Caller, provider: FakeProvider
    ) -> None:
        await caller.chat()
        update = provider_service_pb2.UpdateProviderRequest(id="p", credentials={"apiKey": "new-key"})
        await harness.providers.UpdateProvider(update, metadata=caller.metadata)
        await caller.chat()
        assert provider.requests[-1].headers["authorization"] == "Bearer new-key"
        async with FakeProvider(fake.answers("elsewhere")) as other:
            update = provider_service_pb2.UpdateProviderRequest(id="p", credentials={"apiKey": "newer-key"})
            update.settings.update({"baseUrl": other.url})
            await harness.providers.UpdateProvider(update, metadata=caller.metadata)
            assert (await caller.chat())["choices"][0]["message"]["content"] == "elsewhere"
            assert other.requests[0].headers["authorization"] == "Bearer newer-key"

    async def test_a_stored_key_is_not_sent_to_a_server_that_somebody_else_names(
        self, harness: Harness, caller: Caller, provider: FakeProvider
    ) -> None:
        """A change of `baseUrl` alone had the next chat bring the stored key to the new address."""
        async with FakeProvider(fake.answers("thank you")) as thief:
            update = provider_service_pb2.UpdateProviderRequest(id="p", label="Mine")
            update.settings.update({"baseUrl": thief.url})
            error = await refused(harness.providers.UpdateProvider(update, metadata=caller.metadata))
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert (field_of(error), reason_of(error)) == ("credentials.apiKey", "CREDENTIAL_NEEDED_AGAIN")
            assert (await caller.chat())["choices"][0]["message"]["content"] == "Hello!"
            assert thief.connections == 0
        get = provider_service_pb2.GetProviderRequest(id="p")
        kept = (await harness.providers.GetProvider(get, metadata=caller.metadata)).provider
        assert (kept.label, kept.settings["baseUrl"], kept.has_credentials) == ("P", provider.url, True)

    async def test_a_disabled_provider_is_not_called(
        self, harness: Harness, caller: Caller, provider: FakeProvider
    ) -> None:
        await caller.chat()
        update = provider_service_pb2.UpdateProviderRequest(id="p", status="disabled")
        await harness.providers.UpdateProvider(update, metadata=caller.metadata)
        error = await refused(caller.chat())
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert provider.asked == 1

    async def test_a_removed_model_is_gone_at_once(self, harness: Harness, caller: Caller) -> None:
        await caller.chat()
        await harness.models.DeleteModel(model_service_pb2.DeleteModelRequest(id="m"), metadata=caller.metadata)
        assert reason_of(await refused(caller.chat())) == "MODEL_NOT_FOUND"
