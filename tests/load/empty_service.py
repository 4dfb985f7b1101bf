"""A gRPC server that answers every vector query with the same ten matches: what gRPC itself takes, with messages of the
same size and the same client. `python -m tests.load.empty_service <port>`"""

import sys

import grpc
import uvloop
from grpc.aio import ServicerContext
from grpc.aio import server as make_server

from portico.vector.v1 import point_service_pb2 as pb
from portico.vector.v1 import point_service_pb2_grpc
from tests.load.vector_data import NEAREST, metadata


class EmptyServicer(point_service_pb2_grpc.PointServiceServicer):
    def __init__(self) -> None:
        self._answer = pb.QueryResponse()
        for at in range(NEAREST):
            self._answer.matches.add(id=str(at), score=0.5).metadata.update(metadata(at))

    async def Query(self, request: pb.QueryRequest, context: ServicerContext) -> pb.QueryResponse:
        return self._answer


async def main(port: int) -> None:
    server: grpc.aio.Server = make_server()
    point_service_pb2_grpc.add_PointServiceServicer_to_server(EmptyServicer(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
