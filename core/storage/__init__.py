"""The document store: one port, an adapter per engine, one contract suite that runs on all of them."""
