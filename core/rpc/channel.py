"""Channels to other services, and what a call to them carries: the token and the request id of the caller."""

from grpc.aio import Channel, insecure_channel, secure_channel

from core import context, telemetry
from core.rpc import tls

_OPTIONS = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.enable_http_proxy", 0),
    # A name may stand for several replicas: calls go to each in turn, and a lost one is looked up again at once.
    ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
)


def open_channel(address: str) -> Channel:
    """A channel to all replicas at `host:port`. Close it at the end."""
    identity = tls.active()
    if identity is None:
        return insecure_channel(address, options=_OPTIONS)
    return secure_channel(address, tls.channel_credentials(identity), options=_OPTIONS)


def caller_metadata() -> tuple[tuple[str, str], ...]:
    """Metadata for a call on behalf of the present caller: their own token, or in a job that of the job."""
    request = context.current()
    if request is None:
        return ()
    bearer = request.bearer
    token = () if bearer is None else (("authorization", f"Bearer {bearer}"),)
    return (("x-request-id", request.request_id), *token, *telemetry.inject())
