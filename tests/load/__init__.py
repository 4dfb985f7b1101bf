"""CPU per request, per streamed chunk, and memory under load: Portico beside other gateways, in one run."""
