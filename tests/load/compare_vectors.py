"""CPU per vector query and upsert through the edge, by REST: this checkout of Portico beside another one, in turns.

What is compared is the CPU time of all the processes of a Portico, which does not depend on what else the machine does.
"""

import argparse
import contextlib
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import orjson

from tests.load import load, portico, programs
from tests.load.load import Cost
from tests.load.portico import ROOT, Portico
from tests.load.streams import Target

_DIMENSION = 384
_POINTS = 1000
_BATCH = 100


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.compare_vectors", description=__doc__)
    parser.add_argument(
        "--beside", type=Path, metavar="FOLDER", required=True, help="another checkout of Portico, with its own .venv"
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of both; the median counts (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=2, help="how long each lasts (default %(default)s)")
    options = parser.parse_args()
    try:
        measured = _measure({"this checkout": ROOT, options.beside.name: options.beside.resolve()}, options)
    except (programs.Failed, programs.Missing) as problem:
        print(problem, file=sys.stderr)
        return 1
    print("| call | checkout | CPU ms a call (least) | by process |\n|---|---|--:|---|")
    for (kind, checkout), costs in measured.items():
        whole = [cost.each * 1000 for cost in costs]
        print(f"| {kind} | {checkout} | {median(whole):.3f} ({min(whole):.3f}) | {_by_process(costs)} |")
    return 0


def _measure(checkouts: Mapping[str, Path], options: argparse.Namespace) -> Mapping[tuple[str, str], list[Cost]]:
    """The cost of each round, by kind of call and checkout."""
    with contextlib.ExitStack() as stack:
        running: dict[str, Portico] = {}
        for number, (name, checkout) in enumerate(checkouts.items()):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"portico-{number}-")))
            running[name] = stack.enter_context(portico.local(folder, checkout=checkout))
        targets = {name: _prepare(each) for name, each in running.items()}
        kinds = list(next(iter(targets.values())))
        costs: dict[tuple[str, str], list[Cost]] = {(kind, name): [] for kind in kinds for name in running}
        for kind in kinds:
            for name, each in running.items():
                load.requests(targets[name][kind], each.pid, seconds=1)  # warm
            for number in range(options.rounds):
                for name in list(running)[:: -1 if number % 2 else 1]:
                    cost = load.requests(targets[name][kind], running[name].pid, seconds=options.seconds)
                    costs[kind, name].append(cost)
        return costs


def _by_process(costs: Sequence[Cost]) -> str:
    """Milliseconds a call of each process that takes part, the least of all rounds."""
    least = {label: min(cost.cpu.get(label, 0.0) / cost.count for cost in costs) * 1000 for label in costs[0].cpu}
    shown = sorted(((ms, label) for label, ms in least.items() if ms >= 0.01), reverse=True)
    return ", ".join(f"{label} {ms:.3f}" for ms, label in shown)


def _prepare(running: Portico) -> Mapping[str, Target]:
    """An index with points, and the requests to it, by kind."""
    dice = random.Random(1)
    path = "/vector/providers/default/indexes"
    index = running.call("POST", path, {"name": "compare", "dimension": _DIMENSION})["index"]["indexId"]
    points = [
        {"id": str(at), "values": [dice.gauss(0, 1) for _ in range(_DIMENSION)], "metadata": {"n": at}}
        for at in range(_POINTS)
    ]
    for start in range(0, _POINTS, _BATCH):
        running.call("POST", f"{path}/{index}/upsert", {"vectors": points[start : start + _BATCH]})

    def target(what: str, body: object) -> Target:
        return Target(f"http://127.0.0.1:{running.port}/v1{path}/{index}/{what}", orjson.dumps(body), running.headers)

    return {
        "query, 10 matches": target("query", {"query": {"vector": points[0]["values"], "topK": 10}}),
        "upsert of 1 vector": target("upsert", {"vectors": points[:1]}),
        f"upsert of {_BATCH} vectors": target("upsert", {"vectors": points[:_BATCH]}),
    }


if __name__ == "__main__":
    sys.exit(main())
