"""The domain of auth, without gRPC and without drivers."""
