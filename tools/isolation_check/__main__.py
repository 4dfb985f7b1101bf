"""Check that two tenants of a running Portico are apart: `python -m tools.isolation_check --url http://localhost:8080`.

Makes two tenants with a record of each kind, unless their tokens are given. Then each of them tries, many calls at a
time, to reach the other's records by every REST route and every RPC: with the other's ids and keys in paths, bodies and
fields, and with headers that claim to be the other. Prints what came of it for each route, and exits with 1 where
anything of the other was seen, reached or changed, with 2 where that cannot be told. All that is made stays in the two
tenants: do not give the tokens of tenants that are in use.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import aiohttp
import grpc

from tools.isolation_check.attempts import FAILED, LEAKED, REACHED, RESULTS, Attempts, Findings, sample
from tools.isolation_check.tenants import Api, CannotPlant, Tenant, given_tenant, kept, make_tenant, plant

_PROGRESS_SECONDS = 2.0
_SECONDS = 60.0


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.isolation_check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="of the edge; gRPC goes there too")
    for name in ("a", "b"):
        env = f"PORTICO_ISOLATION_TOKEN_{name.upper()}"
        parser.add_argument(
            f"--token-{name}", default=os.environ.get(env, ""), help=f"a token of one of two tenants; default: {env}"
        )
    parser.add_argument("--attempts", type=int, default=10_000, help="calls to make at least (default: 10000)")
    parser.add_argument("--at-most", action="store_true", help="make no more than --attempts, of every route alike")
    parser.add_argument("--concurrency", type=int, default=32, help="calls at a time (default: 32)")
    parser.add_argument("--quiet", action="store_true", help="print the sums alone, not a row per route")
    options = parser.parse_args(given)
    if bool(options.token_a) != bool(options.token_b):
        parser.error("give the tokens of both tenants, or none")
    return options


def _progress(wanted: int) -> Callable[[int], None]:
    """Say on the standard error output how far it is."""
    said = time.monotonic()

    def show(made: int) -> None:
        nonlocal said
        if time.monotonic() - said > _PROGRESS_SECONDS:
            said = time.monotonic()
            print(f"{made:7} of about {wanted} attempts", file=sys.stderr, flush=True)

    return show


async def _tenants(api: Api, options: argparse.Namespace) -> tuple[Tenant, Tenant]:
    if options.token_a:
        tenants = given_tenant(options.token_a), given_tenant(options.token_b)
    else:
        tenants = await make_tenant(api), await make_tenant(api)
    for tenant in tenants:
        await plant(api, tenant)
    for missing in tenants[0].missing:
        print(f"not planted: {missing}", file=sys.stderr)
    return tenants


def _channel(url: str) -> grpc.aio.Channel:
    address = urlsplit(url)
    secure = address.scheme == "https"
    target = f"{address.hostname}:{address.port or (443 if secure else 80)}"
    if secure:
        return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials())
    return grpc.aio.insecure_channel(target)


async def check(options: argparse.Namespace) -> tuple[Findings, list[str]]:
    """Make the attempts. Returns what came of them, and the collections whose records changed. Raises CannotPlant."""
    connector = aiohttp.TCPConnector(limit=options.concurrency)
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http, _channel(options.url) as channel:
        api = Api(options.url.rstrip("/"), http)
        tenants = await _tenants(api, options)
        before = [await kept(api, tenant) for tenant in tenants]
        attempts = Attempts(api, channel, tenants)
        guarded, further = attempts.guarded(), attempts.further()
        if options.at_most:
            share = options.attempts * len(guarded) // (len(guarded) + len(further))
            guarded, further = sample(guarded, share), sample(further, options.attempts - share)
        rounds = max(1, -(-(options.attempts - len(further)) // max(1, len(guarded))))
        show = _progress(rounds * len(guarded) + len(further))
        await attempts.run(guarded * rounds, options.concurrency, show)
        await attempts.run(further, options.concurrency, show)
        after = [await kept(api, tenant) for tenant in tenants]
        # Whoever tries may make records of its own: what was there must still be.
        pairs = zip(before, after, strict=True)
        changed = [name for was, now in pairs for name in was if not was[name] <= now.get(name, set())]
        return attempts.findings, changed


def _print_matrix(findings: Findings, *, quiet: bool) -> None:
    width = max(map(len, findings.matrix), default=0)
    print(f"{'route or RPC':{width}} {' '.join(f'{each:>8}' for each in RESULTS)}")
    for name in [] if quiet else sorted(findings.matrix):
        print(f"{name:{width}} {' '.join(f'{findings.matrix[name][each]:8}' for each in RESULTS)}")
    print(f"{'all':{width}} {' '.join(f'{findings.total(each):8}' for each in RESULTS)}")
    for each in findings.samples:
        print(each)


def main(given: Sequence[str] | None = None) -> int:
    options = _arguments(given)
    try:
        findings, changed = asyncio.run(check(options))
    except CannotPlant as error:
        print(error, file=sys.stderr)
        return 2
    _print_matrix(findings, quiet=options.quiet)
    for name in changed:
        print(f"changed: the records under {name} are not as they were")
    if changed or findings.total(LEAKED) or findings.total(REACHED):
        print(f"The tenants are NOT apart, as {findings.made} attempts show.")
        return 1
    if findings.total(FAILED):
        print(f"Nothing was seen, but {findings.total(FAILED)} of {findings.made} attempts were not answered.")
        return 2
    print(f"The tenants are apart: {findings.made} attempts, and not one reached the other's records.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
