"""The settings of a service's RPC servers."""

from dataclasses import dataclass

from core.config import Secret, setting
from core.tls import TlsSettings


@dataclass(frozen=True)
class RpcSettings:
    """The gRPC server of a service"""

    tls: TlsSettings
    listen: str = setting("PORTICO_LISTEN", default="127.0.0.1:0", help="host:port to serve gRPC on; port 0: any.")
    health_listen: str = setting(
        "PORTICO_HEALTH_LISTEN",
        default="",
        help="host:port to serve the health protocol on without TLS, for probes that speak none; empty: off.",
    )
    edge_listen: str = setting(
        "PORTICO_EDGE_LISTEN",
        default="",
        help="host:port where the edge reaches the hot calls over HTTP/1.1 at less cost than over HTTP/2; empty: off.",
    )
    edge_secret: Secret | None = setting(
        "PORTICO_EDGE_SECRET",
        default=None,
        min=32,
        help="Known to the edge and the services; proves that a call came through the edge, which alone is believed "
        "about the client's address and about REST. Required behind an edge.",
    )
    auth_address: str = setting(
        "PORTICO_AUTH_ADDRESS",
        default="127.0.0.1:50051",
        help="host:port of auth, for its keys and revocations.",
    )
    service_secret: Secret = setting(
        "PORTICO_SERVICE_SECRET", min=32, help="Known to Portico's services alone; lets them follow auth."
    )
    max_concurrent_calls: int = setting(
        "PORTICO_MAX_CONCURRENT_CALLS", default=4000, min=1, help="Calls beyond this are refused with 503."
    )
    tenant_share_percent: int = setting(
        "PORTICO_TENANT_SHARE_PERCENT",
        default=75,
        min=1,
        max=100,
        help="Percent of those calls that one tenant may hold while no other holds any; the more the others hold, the "
        "fewer. 100: no limit of its own.",
    )
    request_seconds: float = setting(
        "PORTICO_REQUEST_SECONDS",
        default=30.0,
        min=0.01,
        help="Time that a call's request message gets to arrive. Does not apply to uploads, which have limits of "
        "their own.",
    )
    arriving_mb: int = setting(
        "PORTICO_ARRIVING_MB",
        default=64,
        min=1,
        help="MiB that the request messages of one tenant, of one size limit, may take while they arrive; further "
        "ones wait for their turn.",
    )
    drain_seconds: float = setting(
        "PORTICO_DRAIN_SECONDS", default=1.0, min=0, help="Pause between NOT_SERVING and the server's stop."
    )
    grace_seconds: float = setting(
        "PORTICO_GRACE_SECONDS", default=120.0, min=0, help="Time that calls in flight get to end at a stop."
    )
