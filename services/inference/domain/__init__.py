"""What inference does, without gRPC and without drivers of stores or sockets."""
