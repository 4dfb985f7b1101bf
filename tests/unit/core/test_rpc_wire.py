"""One gRPC message out of the pieces of an HTTP body."""

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.rpc.http1.wire import Refused, message_of


def frame(message: bytes, flag: int = 0) -> bytes:
    return bytes([flag]) + len(message).to_bytes(4, "big") + message


@given(st.binary(max_size=40), st.lists(st.integers(0, 45), max_size=8))
def test_pieces_of_any_size_are_one_message(message: bytes, cuts: list[int]) -> None:
    whole = frame(message)
    ends = sorted(min(cut, len(whole)) for cut in cuts)
    pieces = [whole[begin:end] for begin, end in zip([0, *ends], [*ends, len(whole)], strict=True)]
    assert message_of(pieces) == message


@pytest.mark.parametrize(
    "pieces",
    [[], [b""], [b"\0\0\0\0"], [frame(b"ab")[:-1]], [frame(b"ab"), b"c"], [frame(b"a"), frame(b"b")]],
    ids=["nothing", "an empty piece", "half a frame", "half a message", "more than a message", "two messages"],
)
def test_anything_else_is_refused(pieces: list[bytes]) -> None:
    with pytest.raises(Refused) as caught:
        message_of(pieces)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_compressed_message_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        message_of([frame(b"ab", flag=1)])
    assert caught.value.code is grpc.StatusCode.UNIMPLEMENTED
