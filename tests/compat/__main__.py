"""Record the answers to the corpus, or replay it and compare.

python -m tests.compat replay                   this checkout against the recorded answers
python -m tests.compat replay --root ../other   another checkout, with its own .venv, against them
python -m tests.compat record                   write the answers anew, after an intended change
"""

import argparse
import signal
import sys
from pathlib import Path

from tests.compat import recording
from tests.compat.replay import replay
from tests.compat.suite import running
from tools.supervisor import ROOT


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.compat", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["record", "replay"])
    parser.add_argument("--root", type=Path, default=ROOT, help="checkout to run, with its .venv; default: this one")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # unwinds, so that no process is left
    with running(given.root.resolve()) as suite:
        replayed = replay(suite)
    if given.command == "record":
        recording.write(replayed.blocks)
        found = replayed.problems
        told = f"{len(replayed.blocks)} answers are recorded in {recording.FOLDER}."
    else:
        found = recording.differences(recording.read(), replayed.blocks) + replayed.problems
        told = f"{len(replayed.blocks)} requests, {len(found)} differences."
    print("\n\n".join([*found, told]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
