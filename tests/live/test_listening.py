"""A page's connections send what they have at once, and a port that is taken is refused."""

import socket

import pytest

from morphstream.live.listening import listen


def test_a_connection_sends_at_once() -> None:
    with listen("127.0.0.1", 0) as server, socket.create_connection(server.getsockname()):
        connection, _ = server.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_that_is_taken_is_refused_in_a_line() -> None:
    with listen("127.0.0.1", 0) as server:
        port = server.getsockname()[1]
        with pytest.raises(
            OSError, match=rf"http://127.0.0.1:{port}: expected a port to listen on, seen .*; use another"
        ):
            listen("127.0.0.1", port)
