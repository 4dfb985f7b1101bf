from google.api import annotations_pb2 as _annotations_pb2
from portico.common.v1 import access_pb2 as _access_pb2
from portico.common.v1 import job_pb2 as _job_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Migration(_message.Message):
    __slots__ = ("id", "source_provider_key", "source_index_id", "destination_provider_key", "destination_index_id", "job", "verified")
    ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    SOURCE_INDEX_ID_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_INDEX_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_FIELD_NUMBER: _ClassVar[int]
    id: str
    source_provider_key: str
    source_index_id: str
    destination_provider_key: str
    destination_index_id: str
    job: _job_pb2.Job
    verified: bool
    def __init__(self, id: _Optional[str] = ..., source_provider_key: _Optional[str] = ..., source_index_id: _Optional[str] = ..., destination_provider_key: _Optional[str] = ..., destination_index_id: _Optional[str] = ..., job: _Optional[_Union[_job_pb2.Job, _Mapping]] = ..., verified: _Optional[bool] = ...) -> None: ...

class CreateMigrationRequest(_message.Message):
    __slots__ = ("source_provider_key", "source_index_id", "destination_provider_key", "destination_name", "batch_size")
    SOURCE_PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    SOURCE_INDEX_ID_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_PROVIDER_KEY_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_NAME_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    source_provider_key: str
    source_index_id: str
    destination_provider_key: str
    destination_name: str
    batch_size: int
    def __init__(self, source_provider_key: _Optional[str] = ..., source_index_id: _Optional[str] = ..., destination_provider_key: _Optional[str] = ..., destination_name: _Optional[str] = ..., batch_size: _Optional[int] = ...) -> None: ...

class CreateMigrationResponse(_message.Message):
    __slots__ = ("migration",)
    MIGRATION_FIELD_NUMBER: _ClassVar[int]
    migration: Migration
    def __init__(self, migration: _Optional[_Union[Migration, _Mapping]] = ...) -> None: ...

class ListMigrationsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListMigrationsResponse(_message.Message):
    __slots__ = ("migrations", "next_page_token")
    MIGRATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    migrations: _containers.RepeatedCompositeFieldContainer[Migration]
    next_page_token: str
    def __init__(self, migrations: _Optional[_Iterable[_Union[Migration, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetMigrationRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetMigrationResponse(_message.Message):
    __slots__ = ("migration",)
    MIGRATION_FIELD_NUMBER: _ClassVar[int]
    migration: Migration
    def __init__(self, migration: _Optional[_Union[Migration, _Mapping]] = ...) -> None: ...

class CancelMigrationRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class CancelMigrationResponse(_message.Message):
    __slots__ = ("migration",)
    MIGRATION_FIELD_NUMBER: _ClassVar[int]
    migration: Migration
    def __init__(self, migration: _Optional[_Union[Migration, _Mapping]] = ...) -> None: ...
