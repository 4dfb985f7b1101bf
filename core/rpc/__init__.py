"""The only place that makes a gRPC server or channel."""
