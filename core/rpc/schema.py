"""The contract of all services by gRPC's reflection, for grpcurl and its like.

Versions v1 and v1alpha differ in nothing but their name; one servicer serves both. It stands outside the chain, as the
schema is nobody's data; through the edge it takes a token.
"""

from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import Default, DescriptorPool
from grpc_reflection.v1alpha import reflection, reflection_pb2

from portico.common.v1 import access_pb2

ALPHA = reflection.SERVICE_NAME
V1 = "grpc.reflection.v1.ServerReflection"

_CONTRACT = Path(access_pb2.__file__).parents[3] / "descriptor.binpb"


def servicer() -> Any:
    """Serve reflection for every file of the contract, listing the services that clients may call."""
    contract = FileDescriptorSet.FromString(_CONTRACT.read_bytes())
    pool = DescriptorPool()
    for file in (*contract.file, *_reflection()):  # whose imports come first
        pool.AddSerializedFile(file.SerializeToString())
    return reflection.aio.ReflectionServicer([*_open_services(contract), ALPHA, V1], pool)


def _open_services(contract: FileDescriptorSet) -> list[str]:
    """All but those that Portico's services call among themselves."""
    return [
        f"{file.package}.{service.name}"
        for file in contract.file
        for service in file.service
        if not all(_is_internal(method.options) for method in service.method)
    ]


def _is_internal(options: Any) -> bool:
    return bool(options.Extensions[access_pb2.access].WhichOneof("rule") == "internal")


def _reflection() -> tuple[FileDescriptorProto, FileDescriptorProto]:
    alpha = FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(alpha)
    text = text_format.MessageToString(alpha).replace("v1alpha", "v1")
    return alpha, text_format.Parse(text, FileDescriptorProto())


Default().AddSerializedFile(_reflection()[1].SerializeToString())  # to be found by name, like every other contract
