"""gRPC calls over HTTP/1.1, from the edge alone: the same messages, metadata and status, on a leaner transport."""
