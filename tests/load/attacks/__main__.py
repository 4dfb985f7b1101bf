"""Repeat each attack from another process while a second tenant chats, and measure what that tenant notices.

Starts the whole of Portico with two tenants. One attacks the edge, or the gRPC port of a service, where no edge stands
before it; the other chats, and calls the attacked service, through the edge. Prints a table in Markdown: the second
tenant's calls, errors, 99th percentile and longest wait, the resident memory of all processes of the suite before, at
its peak and some seconds after, what of this exceeds its bound, and how the attack was answered. The attacker runs on
the same machine and takes its share of it: the first line is without an attack, for comparison.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from tests.load.attacks.attack import MIB, Attack
from tests.load.attacks.attacker import ATTACKS
from tests.load.attacks.harness import (
    LONGEST_WAIT,
    MOST_GROWTH,
    MOST_KEPT,
    Outcome,
    Run,
    asks,
    environment,
    furnish,
    prepare,
)
from tests.support.cluster import Cluster, Rest
from tests.support.connections import http_session

HEAD = """\
| target | attack | calls | errors | p99 | longest | before | peak | after | over | answers to the attacker |
|---|---|--:|--:|--:|--:|--:|--:|--:|---|---|"""


def row(target: str, name: str, outcome: Outcome) -> str:
    noticed = outcome.noticed
    memory = (f"{size // MIB}" for size in (outcome.before, outcome.peak, outcome.after))
    times = (f"{seconds * 1000:.0f} ms" for seconds in (noticed.p99, max(noticed.waits)))
    counts = (f"{len(noticed.waits)}", f"{noticed.errors.total()}")
    answers = "; ".join([outcome.answers, *(f"second tenant: {text}" for text, _ in noticed.errors.most_common(2))])
    cells = (target, name, *counts, *times, *memory, ", ".join(outcome.over()), answers.replace("|", "/"))
    return f"| {' | '.join(cells)} |"


async def run_all(cluster: Cluster, attacks: Sequence[Attack], given: argparse.Namespace) -> int:
    """Make the attacks on one suite; return how many stayed within all bounds."""
    held = 0
    async with http_session() as http:
        rest = Rest(cluster.url, http)
        target, other = await prepare(cluster)
        await furnish(rest, target, other, {attack.target for attack in attacks if attack.records})
        run = Run(cluster.pid("launcher"), asks(rest, other), target, given.seconds, given.settle)
        print(row("all", "none", await run.measure(None)), flush=True)
        for attack in attacks:
            outcome = await run.measure(attack)
            held += not outcome.over()
            print(row(attack.target, attack.name, outcome), flush=True)
    return held


def measure(attacks: Sequence[Attack], given: argparse.Namespace) -> int:
    """Start a suite for each configuration that the attacks want; return how many stayed within all bounds."""
    held = 0
    ordered = sorted(attacks, key=lambda attack: sorted(environment(attack).items()))
    for settings, group in groupby(ordered, key=environment):
        with tempfile.TemporaryDirectory() as folder:
            cluster = Cluster(Path(folder) / "data", settings).start()
            try:
                held += asyncio.run(run_all(cluster, list(group), given))
            finally:
                cluster.stop()
    return held


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.load.attacks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME", help="parts of names of attacks, or targets")
    parser.add_argument("--known", action="store_true", help="only attacks that an earlier version failed under")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each attack goes on (default: 30)")
    parser.add_argument("--settle", type=float, default=12.0, help="seconds until memory is read again (default: 12)")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    attacks = [
        attack
        for attack in ATTACKS
        if any(part == attack.target or part in attack.name for part in given.only) and given.known <= attack.known
    ]
    if given.list:
        print("\n".join(f"{attack.target:10} {'known ' if attack.known else '':6} {attack.name}" for attack in attacks))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the suite ends, too
    print(HEAD, flush=True)
    held = measure(attacks, given)
    print(
        f"\n{held} of {len(attacks)} attacks stayed within all bounds: no error, no answer later than "
        f"{LONGEST_WAIT * 1000:.0f} ms, {MOST_GROWTH // MIB} MiB more memory, {MOST_KEPT // MIB} MiB kept."
    )


if __name__ == "__main__":
    main()
