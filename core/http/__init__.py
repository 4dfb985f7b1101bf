"""The lean HTTP/1.1 transport to model providers: one client per provider, TLS, keep-alive, streams, outbound guard."""
