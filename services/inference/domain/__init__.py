"""The domain of inference, without gRPC and without drivers of stores or sockets."""
