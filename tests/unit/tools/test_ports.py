import socket

import pytest

from tools import ports


def test_a_reserved_port_goes_to_its_server_alone() -> None:
    """Ports were looked up and closed again: another process could get one before its server had started."""
    with ports.reserve() as holder:
        address = ("127.0.0.1", ports.number(holder))
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(address)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        for _ in range(2):  # started again, it gets its port again
            with socket.create_server(address), socket.create_connection(address) as client:
                assert client.getpeername() == address


def test_many_reserved_ports_differ() -> None:
    holders = [ports.reserve() for _ in range(100)]
    assert len({ports.number(holder) for holder in holders}) == len(holders)
    for holder in holders:
        holder.close()
