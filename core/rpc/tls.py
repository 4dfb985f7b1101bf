"""The TLS of this process: credentials of its servers and channels (`core.tls`)."""

import grpc

from core.tls import Identity

_identity: Identity | None = None


def configure(identity: Identity | None) -> None:
    """Set what all servers and channels of the process use. Call it before they are made."""
    global _identity
    _identity = identity


def active() -> Identity | None:
    """The identity of the process; None: no TLS."""
    return _identity


def server_credentials(identity: Identity) -> grpc.ServerCredentials:
    """Credentials of a gRPC server, which takes clients with a certificate alone."""
    pair = (identity.key_file.read_bytes(), identity.cert_file.read_bytes())
    return grpc.ssl_server_credentials([pair], identity.ca_file.read_bytes(), require_client_auth=True)


def channel_credentials(identity: Identity) -> grpc.ChannelCredentials:
    """Credentials of a gRPC channel."""
    files = (identity.ca_file, identity.key_file, identity.cert_file)
    return grpc.ssl_channel_credentials(*(file.read_bytes() for file in files))
