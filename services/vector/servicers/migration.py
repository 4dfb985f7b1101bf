"""MigrationService."""

from core.context import identity
from core.offload import in_turns
from core.rpc.call import CallContext
from portico.vector.v1 import migration_service_pb2 as pb
from portico.vector.v1 import migration_service_pb2_grpc
from services.vector import mapping
from services.vector.domain.index_migrations import IndexMigrations


class MigrationServicer(migration_service_pb2_grpc.MigrationServiceServicer):
    def __init__(self, migrations: IndexMigrations) -> None:
        self._migrations = migrations

    async def CreateMigration(
        self, request: pb.CreateMigrationRequest, context: CallContext
    ) -> pb.CreateMigrationResponse:
        migration = await self._migrations.create(identity().project, mapping.new_migration(request))
        return pb.CreateMigrationResponse(migration=mapping.migration(migration))

    async def ListMigrations(
        self, request: pb.ListMigrationsRequest, context: CallContext
    ) -> pb.ListMigrationsResponse:
        migrations, following = await self._migrations.list(identity().project, request.page_size, request.page_token)
        return pb.ListMigrationsResponse(
            migrations=await in_turns(mapping.migration, migrations), next_page_token=following
        )

    async def GetMigration(self, request: pb.GetMigrationRequest, context: CallContext) -> pb.GetMigrationResponse:
        migration = await self._migrations.get(identity().project, request.id)
        return pb.GetMigrationResponse(migration=mapping.migration(migration))

    async def CancelMigration(
        self, request: pb.CancelMigrationRequest, context: CallContext
    ) -> pb.CancelMigrationResponse:
        migration = await self._migrations.cancel(identity().project, request.id)
        return pb.CancelMigrationResponse(migration=mapping.migration(migration))
