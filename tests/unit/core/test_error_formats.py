"""The formats of errors over REST, selected by an RPC's contract."""

import json
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from core import errors
from core.errors import PorticoError
from core.http.errors import AddressRefused
from core.rpc.error_formats import ErrorFormat, trailing_metadata
from core.rpc.errors import ERROR_MAPPINGS
from core.rpc.policy import policies_of
from portico.common.v1 import access_pb2


def body(error: PorticoError, format: ErrorFormat) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(
        dict(trailing_metadata(error, "req-1", rest=True, format=format))["x-error-body"]
    )
    return decoded


def test_openais_body() -> None:
    error = errors.NotFound("There is no such model.", reason="MODEL_NOT_FOUND", field="model")
    assert body(error, ErrorFormat.OPENAI) == {
        "error": {
            "message": "There is no such model.",
            "type": "invalid_request_error",
            "code": "model_not_found",
            "param": "model",
        },
        "request_id": "req-1",
    }


def test_anthropics_body() -> None:
    error = errors.NotFound(
        "There is no such model.", reason="MODEL_NOT_FOUND", field="model", details={"innererror": 1}
    )
    assert body(error, ErrorFormat.ANTHROPIC) == {
        "type": "error",
        "error": {"type": "not_found_error", "message": "There is no such model."},
        "request_id": "req-1",
    }


ANTHROPIC = {
    errors.PorticoError: "api_error",
    errors.InvalidInput: "invalid_request_error",
    errors.PayloadTooLarge: "request_too_large",
    errors.UnsupportedMedia: "invalid_request_error",
    errors.RangeNotSatisfiable: "invalid_request_error",
    errors.Unprocessable: "invalid_request_error",
    errors.Unauthenticated: "authentication_error",
    errors.PermissionDenied: "permission_error",
    errors.NotFound: "not_found_error",
    errors.Conflict: "invalid_request_error",
    errors.FailedPrecondition: "invalid_request_error",
    errors.PreconditionFailed: "invalid_request_error",
    errors.ContentBlocked: "invalid_request_error",
    errors.RateLimited: "rate_limit_error",
    errors.BudgetExceeded: "rate_limit_error",
    errors.InsufficientStorage: "api_error",
    errors.Unavailable: "overloaded_error",
    errors.DeadlineExceeded: "timeout_error",
    errors.RequestTimeout: "invalid_request_error",
    errors.UpstreamFailed: "api_error",
}
"""Anthropic's documentation has these types by HTTP status, and invalid_request_error for every other 4xx."""


@pytest.mark.parametrize("cls", list(ERROR_MAPPINGS), ids=lambda cls: cls.__name__)
def test_the_type_that_anthropics_clients_read(cls: type[PorticoError]) -> None:
    assert body(cls("No."), ErrorFormat.ANTHROPIC)["error"]["type"] == ANTHROPIC[cls]


@pytest.mark.parametrize("format", [ErrorFormat.OPENAI, ErrorFormat.ANTHROPIC])
@pytest.mark.parametrize("character", ["x", "漢", '"', "\n"])
def test_a_long_error_is_cut_in_every_format(format: ErrorFormat, character: str) -> None:
    error = errors.InvalidInput(character * 20_000, field="f" * 200, details={"innererror": {"a": "b" * 30_000}})
    text = dict(trailing_metadata(error, "r" * 128, rest=True, format=format))["x-error-body"]
    assert isinstance(text, str)
    assert text.isascii()
    assert len(text) <= 24 * 1024
    content = json.loads(text)["error"]
    assert "innererror" not in content
    assert content["message"].startswith(character * 1500)


def test_an_error_whose_class_takes_other_arguments_is_cut_too() -> None:
    error = AddressRefused()
    error.details = {"innererror": "x" * 30_000}
    assert body(error, ErrorFormat.OPENAI)["error"]["message"] == error.message


@pytest.mark.parametrize("format", list(ErrorFormat))
def test_headers_and_status_are_the_same_in_every_format_with_a_body(format: ErrorFormat) -> None:
    error = errors.RateLimited("Slow down.", retry_after=1.5)
    error.final = True
    error.headers = (("x-ratelimit-limit", "5"),)
    metadata = dict(trailing_metadata(error, "r", rest=True, format=format))
    metadata.pop("x-error-body", "")
    metadata.pop("grpc-status-details-bin")
    expected = {"x-http-status": "429", "retry-after": "2", "x-should-retry": "false", "x-ratelimit-limit": "5"}
    assert metadata == ({} if format is ErrorFormat.GRPC else expected)


@pytest.mark.parametrize("number", access_pb2.ErrorFormat.values())
def test_every_format_of_the_contract_can_be_selected(number: int) -> None:
    file = FileDescriptorProto(name="formats.proto", package="formats", syntax="proto3")
    file.dependency.append(access_pb2.DESCRIPTOR.name)
    file.message_type.add(name="M")
    method = file.service.add(name="S").method.add(name="R", input_type=".formats.M", output_type=".formats.M")
    extensions: Any = method.options.Extensions
    extensions[access_pb2.access].public = True
    extensions[access_pb2.error_format] = number
    pool = DescriptorPool()
    for known in _with_imports(access_pb2.DESCRIPTOR):
        pool.AddSerializedFile(known.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    (policy,) = policies_of(pool.FindServiceByName("formats.S")).values()
    name = access_pb2.ErrorFormat.Name(number).removeprefix("ERROR_FORMAT_").lower()
    assert policy.error_format == ("openai" if name == "unspecified" else name)


def _with_imports(file: Any) -> list[Any]:
    return [each for needed in file.dependencies for each in _with_imports(needed)] + [file]
