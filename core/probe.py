"""Health of a part of Portico, for an image's HEALTHCHECK: `python -m core.probe [--live] [ADDRESS]`.

A service is asked by gRPC's health protocol, the edge (an http address) by GET. Exits with 0 where it is ready, or with
`--live` where it is alive, else with 1. Imports little: it runs every few seconds.
"""

import argparse
import os
import sys
import urllib.error
import urllib.request

SECONDS = 10.0
_CHECK = "/grpc.health.v1.Health/Check"
_SERVING = b"\x08\x01"
"""HealthCheckResponse{status: SERVING}, as it is on the wire."""


def is_serving(address: str, *, live: bool = False) -> bool:
    """Ask the gRPC server at host:port whether it is ready, or alive."""
    import grpc  # here, because the edge's image has none

    name = b"live" if live else b""
    request = b"\x0a" + bytes([len(name)]) + name if name else b""  # HealthCheckRequest{service: name}
    with grpc.insecure_channel(address) as channel:
        try:
            answer: bytes = channel.unary_unary(_CHECK)(request, timeout=SECONDS)
        except grpc.RpcError:
            return False
    return answer == _SERVING


def answers(url: str) -> bool:
    """Return whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310  # the operator's own address
            return int(answer.status) == 200
    except (OSError, ValueError):
        return False


def default_address() -> str:
    """The address of the service of this container, or of its edge."""
    if os.environ.get("SERVICE") == "edge":
        return f"http://127.0.0.1:{os.environ.get('PORTICO_EDGE_PORT') or 8080}"
    port = os.environ.get("PORTICO_LISTEN", "").rpartition(":")[2] or "50051"
    return f"127.0.0.1:{port}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "address", nargs="?", default=default_address(), help="host:port, or http://host:port of an edge"
    )
    parser.add_argument("--live", action="store_true", help="ask whether it is alive, not whether it is ready")
    given = parser.parse_args()
    if given.address.startswith("http://"):
        well = answers(f"{given.address}/health/{'live' if given.live else 'ready'}")
    else:
        well = is_serving(given.address, live=given.live)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
