"""Compatibility of the REST API with the recorded answers of `tests/compat`."""

from tests.compat import recording
from tests.compat.replay import replay
from tests.compat.suite import running


def test_every_answer_equals_the_recorded_one() -> None:
    """Record an intended change anew, as tests/compat/README.md says."""
    with running() as suite:
        replayed = replay(suite)
    found = recording.differences(recording.read(), replayed.blocks) + replayed.problems
    assert not found, "\n\n".join(found)
