"""The time, in Unix seconds, as a function that tests can replace."""

from collections.abc import Callable

Clock = Callable[[], float]
