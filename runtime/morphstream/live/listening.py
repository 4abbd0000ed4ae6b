"""The socket that a page is served on."""

import socket

from morphstream.health.probe import url_of

_MOST_WAITING = 64  # connections that the system accepts ahead


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a name or address of this machine, and on any free port for 0.

    Raises:
        OSError: The port is taken, or the host isn't this machine's.
    """
    try:
        family = socket.getaddrinfo(host, port, flags=socket.AI_PASSIVE)[0][0]
        server = socket.create_server((host, port), family=family, backlog=_MOST_WAITING)
    except OSError as error:
        seen = f"expected a port to listen on, seen {error.strerror}"
        raise OSError(f"{url_of(host, port)}: {seen}; use another") from None
    # Connections inherit it, and asyncio doesn't set it for them; without, the second part of an answer waits 40 ms.
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return server
