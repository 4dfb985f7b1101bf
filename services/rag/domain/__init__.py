"""What rag does, without gRPC and without the stores."""
