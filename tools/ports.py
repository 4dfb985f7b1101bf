"""Ports of loopback for programs that have to be told one."""

import socket


def reserve() -> socket.socket:
    """A socket bound to a free port of 127.0.0.1; the port stays reserved as long as the socket is open.

    It does not listen: a server that asks for this port by number gets it, also again after a restart, since servers
    set SO_REUSEADDR. The kernel gives it to nobody who binds to port 0 or connects. A port that is looked up and closed
    again is free for anybody until its server has started.
    """
    holder = socket.socket()
    try:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
    except OSError:
        holder.close()
        raise
    return holder


def number(holder: socket.socket) -> int:
    """The port that the socket is bound to."""
    return int(holder.getsockname()[1])
