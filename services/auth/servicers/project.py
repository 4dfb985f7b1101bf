"""ProjectService."""

from core.rpc.call import CallContext
from portico.auth.v1 import project_service_pb2 as pb
from portico.auth.v1 import project_service_pb2_grpc
from services.auth import mapping
from services.auth.domain.projects import Projects


class ProjectServicer(project_service_pb2_grpc.ProjectServiceServicer):
    def __init__(self, projects: Projects) -> None:
        self._projects = projects

    async def ListProjects(self, request: pb.ListProjectsRequest, context: CallContext) -> pb.ListProjectsResponse:
        projects, following = await self._projects.page(request.page_size, request.page_token)
        return pb.ListProjectsResponse(projects=map(mapping.project, projects), next_page_token=following)

    async def GetProject(self, request: pb.GetProjectRequest, context: CallContext) -> pb.GetProjectResponse:
        return pb.GetProjectResponse(project=mapping.project(await self._projects.get(request.id)))

    async def CreateProject(self, request: pb.CreateProjectRequest, context: CallContext) -> pb.CreateProjectResponse:
        project = await self._projects.create(request.name, request.key, request.description)
        return pb.CreateProjectResponse(project=mapping.project(project))

    async def UpdateProject(self, request: pb.UpdateProjectRequest, context: CallContext) -> pb.UpdateProjectResponse:
        project = await self._projects.update(
            request.id,
            name=request.name if request.HasField("name") else None,
            description=request.description if request.HasField("description") else None,
        )
        return pb.UpdateProjectResponse(project=mapping.project(project))

    async def DeleteProject(self, request: pb.DeleteProjectRequest, context: CallContext) -> pb.DeleteProjectResponse:
        await self._projects.delete(request.id)
        return pb.DeleteProjectResponse(success=True)
