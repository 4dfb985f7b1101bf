"""What goes between the service and a host process: a pickled (method, folder, arguments) there, a pickled Answer
back, both with their length in front. The socket's two ends are one program, which made the pair itself: neither end
is a stranger to the other."""

import struct
from dataclasses import dataclass
from typing import Any

from core.errors import PorticoError

LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Answer:
    """`stale` is the size in bytes of the index's vectors that wait for a rebuild. `detail` is for the log."""

    result: Any = None
    error: PorticoError | None = None
    detail: str = ""
    stale: int = 0
