"""The domain of vector, without gRPC and without the engines."""
