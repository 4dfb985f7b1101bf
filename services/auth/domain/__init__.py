"""What auth decides. Knows neither gRPC nor a driver."""
