"""The domain of tracing, without gRPC and without a database."""
