"""The servicers of auth: each RPC reads the request, calls the domain and writes the answer."""
