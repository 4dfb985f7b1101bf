"""The gRPC services: each method reads the context, converts, calls the domain and converts back."""
