"""Copies a closed-off state of an index and optimises and tunes the copy, as a process of its own.

    python -m services.vector.adapters.embedded.optimise <from> <to>

Prints a line once the copy is made, after which the original may change; ends with 0 once the HNSW index is built.
"""

import os
import subprocess
import sys
from pathlib import Path

import qdrant_edge as edge

from core import secret_files
from services.vector.adapters.embedded.layout import write_tuning
from services.vector.adapters.embedded.tuning import tuned
from services.vector.adapters.embedded.worker import end_with_parent

_NICENESS = 10
"""Queries and writes come first."""


def main(source: str, target: str) -> None:
    secret_files.set_umask()
    end_with_parent()
    _copy(source, target)
    sys.stdout.write("copied\n")
    sys.stdout.flush()
    os.nice(_NICENESS)
    engine = edge.EdgeShard.load(target)
    engine.optimize()
    if engine.info().indexed_vectors_count:
        write_tuning(Path(target), tuned(engine))
    engine.close()  # which flushes


def _copy(source: str, target: str) -> None:
    """Copy the files, with holes as holes, for the engine's files are mostly room for what is to come, and at once
    where the file system can share blocks. `shutil` does neither: it took twice as long, and the disk of the holes."""
    command = ["cp", "--recursive", "--reflink=auto", "--", source, target]
    subprocess.run(command, check=True)  # noqa: S603  # no shell, and both paths are the pool's own


if __name__ == "__main__":
    main(*sys.argv[1:])
