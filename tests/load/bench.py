"""CPU per request and per streamed chunk: Portico beside LiteLLM's proxy and Portkey's gateway, all in one run.

Every gateway stands in front of the same nginx and the same paced stream, on this machine, and they take turns. What is
compared is the CPU time of all the processes of a gateway, which does not depend on what else the machine does.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.load import answers, load, processes, programs, report, streams, upstream
from tests.load.gateways import GATEWAYS, Gateway, Running, Workplace, beside
from tests.load.load import Cost
from tests.load.portico import ROOT
from tests.load.report import Figures, Results
from tests.load.streams import Target

PAUSE = 0.005  # seconds between the chunks of a paced stream


@dataclass(slots=True)
class Measured:
    """A running gateway under measurement: `events` that each kind of stream brings here, chats `sent` to it so far."""

    figures: Figures
    running: Running
    events: dict[str, int]
    sent: int = 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="how long each measurement lasts (default 5)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of every gateway; the median counts (default 3)")
    parser.add_argument(
        "--streams", type=int, default=200, help="streams to hold open together at the end (default 200)"
    )
    parser.add_argument("--gateways", default=",".join(one.name for one in GATEWAYS), help="default: %(default)s")
    parser.add_argument(
        "--beside",
        type=Path,
        metavar="FOLDER",
        action="append",
        default=[],
        help="measure another checkout of Portico too, with its own .venv; may be given several times",
    )
    parser.add_argument("--out", type=Path, help="write the figures into this Markdown file, between its markers")
    parser.add_argument("--cache", type=Path, default=ROOT / ".bench", help="where peers are installed")
    options = parser.parse_args()
    names = options.gateways.split(",")
    if unknown := set(names) - {gateway.name for gateway in GATEWAYS}:
        parser.error(f"unknown gateway: {', '.join(sorted(unknown))}")
    chosen = [gateway for gateway in GATEWAYS if gateway.name in names]
    chosen += map(beside, options.beside)
    try:
        results = _measure(chosen, options)
    except (programs.Missing, programs.Failed) as problem:
        print(problem, file=sys.stderr)
        return 1
    if options.out:
        report.write(options.out, results)
    print(report.text(results))
    return 0


def _measure(gateways: list[Gateway], options: argparse.Namespace) -> Results:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="portico-bench-")))
        folder.chmod(0o755)  # nginx reads below it as another user
        static = folder / "upstream"
        static.mkdir()
        upstreams = stack.enter_context(upstream.serve(static, pause=PAUSE))
        measured = []
        for gateway in gateways:
            home = folder / gateway.name
            home.mkdir()
            print(f"starting {gateway.title} {gateway.version}", flush=True)
            measured.append(_start(stack, gateway, Workplace(options.cache.resolve(), home, upstreams)))
        results = Results([one.figures for one in measured], options.rounds, options.seconds)
        _rounds(measured, results)
        for one in measured:
            one.figures.idle = asyncio.run(load.idle(one.running.pid, seconds=min(options.seconds, 5)))
            _check_records(one)
            if options.streams and one.figures.gateway.name == "portico":
                results.soak = _soak(one, options.streams)
            one.figures.peak_rss = processes.tree(one.running.pid).peak_rss
        return results


def _rounds(measured: list[Measured], results: Results) -> None:
    """All gateways take turns at each kind of request, so that what disturbs the machine disturbs them alike."""
    for one in measured:
        for kind in upstream.KINDS:
            _turn(one, kind, seconds=min(results.seconds, 2))  # warm-up
    for number in range(results.rounds):
        costs: list[dict[str, Cost]] = [{} for _ in measured]
        for kind in upstream.KINDS:
            results.yardstick.append(load.yardstick())
            for one, found in zip(measured, costs, strict=True):
                found[kind.name] = _turn(
                    one, kind, seconds=results.seconds / (2 if kind.chunks == upstream.SHORT else 1)
                )
        for one, found in zip(measured, costs, strict=True):
            one.figures.rounds.append(found)
            print(f"round {number + 1}: {one.figures.gateway.title}: {one.figures.last_round()}", flush=True)


def _turn(one: Measured, kind: upstream.Kind, *, seconds: float) -> Cost:
    target, pid = one.running.targets[kind.name], one.running.pid
    if kind.chunks:
        cost = asyncio.run(load.stream(target, pid, seconds=seconds, expected=one.events[kind.name]))
    else:
        cost = load.requests(target, pid, seconds=seconds)
    one.sent += cost.count
    return cost


def _start(stack: contextlib.ExitStack, gateway: Gateway, place: Workplace) -> Measured:
    """Start a gateway and verify it. Its log is the first thing to read when that fails."""
    try:
        running = stack.enter_context(gateway.start(place))
        return Measured(Figures(gateway), running, _verify(gateway, running))
    except programs.Failed as failed:
        log = place.folder / f"{gateway.name}.log"
        tail = log.read_text()[-2000:] if log.exists() else ""
        raise programs.Failed(f"{tail}\n{failed}") from failed


def _verify(gateway: Gateway, running: Running) -> dict[str, int]:
    """Make sure that each kind brings the provider's own answer; returns how many events each stream has here.

    Gateways may merge or drop a stream's events without text, so each is held to its own number afterwards.
    """
    events = {}
    for kind in upstream.KINDS:
        body = _ask(gateway, running.targets[kind.name])
        if kind.chunks:
            found = [line[6:] for line in body.splitlines() if line.startswith("data: ") and line != "data: [DONE]"]
            text = "".join(
                choice["delta"].get("content") or ""
                for event in found
                for choice in json.loads(event).get("choices", [])
            )
            wanted = answers.streamed_text(kind.chunks)
            events[kind.name] = len(found)
        else:
            text, wanted = json.loads(body)["choices"][0]["message"]["content"], answers.TEXT
        if text != wanted:
            raise programs.Failed(f"{gateway.title} answered {kind.name} with {body[:500]}")
    return events


def _ask(gateway: Gateway, target: Target) -> str:
    headers = {"Content-Type": "application/json", **target.headers}
    request = urllib.request.Request(target.url, target.body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return str(answer.read(), "utf-8")
    except OSError as error:
        raise programs.Failed(f"{gateway.title}: {target.url}: {error}") from error


def _check_records(one: Measured) -> None:
    """A gateway that says it counts must have counted every call."""
    if one.running.recorded is None:
        return
    if (recorded := one.running.recorded()) < one.sent:
        raise programs.Failed(f"{one.figures.gateway.title} recorded {recorded} of at least {one.sent} calls")
    print(f"{one.figures.gateway.title} recorded all {recorded} calls", flush=True)


def _soak(one: Measured, count: int) -> streams.Soak:
    kind = upstream.PACED[0].name
    soak = asyncio.run(
        streams.soak(one.running.targets[kind], pid=one.running.pid, concurrent=count, expected=one.events[kind])
    )
    if failures := soak.streams.failures:
        raise programs.Failed(f"{len(failures)} of {count} concurrent streams failed: {failures[0]}")
    return soak


if __name__ == "__main__":
    sys.exit(main())
