"""The pipeline that answers model calls: the exchange, the steps, and their order."""
