"""SessionService."""

from portico.tracing.v1 import session_service_pb2_grpc


class SessionServicer(session_service_pb2_grpc.SessionServiceServicer):
    pass
