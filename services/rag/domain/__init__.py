"""The domain of rag, without gRPC and without the stores."""
