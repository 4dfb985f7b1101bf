"""Ports for the servers of tests, which no other process gets by chance while this one runs."""

import socket

from tools import ports

_held: list[socket.socket] = []


def reserved_port() -> int:
    """A port of 127.0.0.1 for a server that is told its port. Nobody listens there until that server does."""
    _held.append(ports.reserve())
    return ports.number(_held[-1])
