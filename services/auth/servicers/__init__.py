"""The contract's RPCs: read the request, call the domain, write the answer."""
