"""Content in blocks of one size."""

from collections.abc import AsyncGenerator, AsyncIterator


async def blocks(content: AsyncIterator[bytes], size: int) -> AsyncGenerator[bytes, None]:
    """The same bytes in blocks of `size`, the last one shorter. It closes nothing that it was given."""
    held: list[bytes] = []
    length = 0
    async for chunk in content:
        held.append(chunk)
        length += len(chunk)
        while length >= size:
            whole = b"".join(held)
            held, length = [whole[size:]], length - size
            yield whole[:size]
    if length:
        yield b"".join(held)
