from portico.common.v1 import access_pb2 as _access_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DescribeTenantDataRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FieldGroup(_message.Message):
    __slots__ = ("fields",)
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    fields: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, fields: _Optional[_Iterable[str]] = ...) -> None: ...

class DataCollection(_message.Message):
    __slots__ = ("name", "level", "fields", "unique", "indexes", "expiry", "sealed", "hidden")
    class FieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class SealedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_FIELD_NUMBER: _ClassVar[int]
    INDEXES_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    name: str
    level: str
    fields: _containers.ScalarMap[str, str]
    unique: _containers.RepeatedCompositeFieldContainer[FieldGroup]
    indexes: _containers.RepeatedCompositeFieldContainer[FieldGroup]
    expiry: str
    sealed: _containers.ScalarMap[str, str]
    hidden: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., level: _Optional[str] = ..., fields: _Optional[_Mapping[str, str]] = ..., unique: _Optional[_Iterable[_Union[FieldGroup, _Mapping]]] = ..., indexes: _Optional[_Iterable[_Union[FieldGroup, _Mapping]]] = ..., expiry: _Optional[str] = ..., sealed: _Optional[_Mapping[str, str]] = ..., hidden: _Optional[_Iterable[str]] = ...) -> None: ...

class DescribeTenantDataResponse(_message.Message):
    __slots__ = ("service", "version", "collections", "kinds")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    service: str
    version: str
    collections: _containers.RepeatedCompositeFieldContainer[DataCollection]
    kinds: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, service: _Optional[str] = ..., version: _Optional[str] = ..., collections: _Optional[_Iterable[_Union[DataCollection, _Mapping]]] = ..., kinds: _Optional[_Iterable[str]] = ...) -> None: ...

class SettleTenantDataRequest(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    def __init__(self, tenant: _Optional[str] = ...) -> None: ...

class SettleTenantDataResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ExportTenantDataRequest(_message.Message):
    __slots__ = ("tenant", "kind")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    kind: str
    def __init__(self, tenant: _Optional[str] = ..., kind: _Optional[str] = ...) -> None: ...

class ExportTenantDataResponse(_message.Message):
    __slots__ = ("entry", "content")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    entry: str
    content: bytes
    def __init__(self, entry: _Optional[str] = ..., content: _Optional[bytes] = ...) -> None: ...

class ImportTenantDataRequest(_message.Message):
    __slots__ = ("tenant", "kind", "entry", "content")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    kind: str
    entry: str
    content: bytes
    def __init__(self, tenant: _Optional[str] = ..., kind: _Optional[str] = ..., entry: _Optional[str] = ..., content: _Optional[bytes] = ...) -> None: ...

class ImportTenantDataResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: int
    def __init__(self, entries: _Optional[int] = ...) -> None: ...

class EraseTenantDataRequest(_message.Message):
    __slots__ = ("tenant", "projects", "force")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PROJECTS_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    projects: _containers.RepeatedScalarFieldContainer[str]
    force: bool
    def __init__(self, tenant: _Optional[str] = ..., projects: _Optional[_Iterable[str]] = ..., force: _Optional[bool] = ...) -> None: ...

class EraseTenantDataResponse(_message.Message):
    __slots__ = ("left",)
    LEFT_FIELD_NUMBER: _ClassVar[int]
    left: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, left: _Optional[_Iterable[str]] = ...) -> None: ...
