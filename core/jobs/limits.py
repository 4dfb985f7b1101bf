"""Bounds of the work on jobs."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Bounds of one process's work. Durations are in seconds."""

    running: int = 4
    running_per_tenant: int = 2
    max_attempts: int = 5
    """Failures in a row, without having got further, after which a job stays failed."""
    end_attempts: int = 20
    """Calls of a job's end hook, after which it is given up: an hour and more, with the pauses below."""
    lease: float = 15.0
    """Seconds after a crash until another worker may take over."""
    heartbeat: float = 2.0
    poll: float = 1.0
    """Seconds between looks for jobs of other processes."""
    first_retry: float = 2.0
    """Pause after the first failure; it doubles."""
    longest_retry: float = 300.0
    keep_days: float = 90.0
    """Days that jobs are kept after their end."""
    drain: float = 3.0
    """Seconds that handlers get to reach a checkpoint when the service ends."""

    def retry_delay(self, failures: int) -> float:
        """The pause after so many failures, with some jitter."""
        pause = min(self.longest_retry, self.first_retry * 2.0 ** min(failures - 1, 30))
        return pause * random.uniform(0.75, 1.25)
