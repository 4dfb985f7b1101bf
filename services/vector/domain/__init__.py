"""What vector does, without gRPC and without the engines."""
