"""The layout of an index on disk. The service reads this too, without loading the engine.

    <folder>/index.json                 what the index was made for, and the generation that counts
    <folder>/<generation>/              the engine's files; a rebuild makes the next one beside it
    <folder>/<generation>/tuning.json   the ef_search of its HNSW index, where it has one

`index.json` is written last when an index is made and removed first when it is dropped, each in one step.
"""

import os
from pathlib import Path

import msgspec

from services.vector.domain.points import IndexSpec, Metric


class IndexFile(msgspec.Struct, frozen=True):
    """`index.json`."""

    generation: str
    dimension: int
    metric: Metric
    hybrid: bool

    @property
    def spec(self) -> IndexSpec:
        return IndexSpec(self.dimension, self.metric, self.hybrid)


def read_index(folder: Path) -> IndexFile | None:
    try:
        return msgspec.json.decode((folder / "index.json").read_bytes(), type=IndexFile)
    except FileNotFoundError:
        return None


def write_index(folder: Path, index: IndexFile) -> None:
    """Write `index.json` atomically; on disk when it returns."""
    beside = folder / "index.json.next"
    with beside.open("wb") as file:
        file.write(msgspec.json.encode(index))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / "index.json")
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Tuning(msgspec.Struct, frozen=True, rename={"ef_search": "walk", "ef_search_filtered": "walk_filtered"}):
    """The ef_search of queries without and with a filter; 0: every vector is compared."""

    ef_search: int = 128
    ef_search_filtered: int = 256


def read_tuning(generation: Path) -> Tuning:
    """Read the tuning; the default where no HNSW index has been built yet."""
    try:
        return msgspec.json.decode((generation / "tuning.json").read_bytes(), type=Tuning)
    except FileNotFoundError:
        return Tuning()


def write_tuning(generation: Path, tuning: Tuning) -> None:
    (generation / "tuning.json").write_bytes(msgspec.json.encode(tuning))


def is_large(folder: Path) -> bool:
    """Return whether the index has an HNSW index."""
    index = read_index(folder)
    return index is not None and (folder / index.generation / "tuning.json").exists()
