"""A hub that ends under load closes every socket, file and thread: else a ResourceWarning, an error, would follow."""

import gc
import socket
import threading
from pathlib import Path

import pytest

from tests.loopback.faults import Fault
from tests.loopback.repository import Large
from tests.loopback.server import WRITE_TOKEN, Hub

NAME, SHA = "org/name", "0" * 64
SIZE = 32 << 20  # more than sockets hold


def asking(hub: Hub, path: str) -> socket.socket:
    """Ask for a file, and read nothing of it."""
    address = hub.endpoint.rpartition(":")
    client = socket.create_connection(("127.0.0.1", int(address[2])))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {WRITE_TOKEN}\r\n\r\n".encode())
    return client


@pytest.mark.parametrize("fault", [None, "drip", "cut", "corrupt"])
@pytest.mark.parametrize("hangs_up", [False, True], ids=["stays", "hangs up"])
def test_it_ends_while_clients_read_nothing(tmp_path: Path, fault: str | None, hangs_up: bool) -> None:
    before = threading.active_count()
    with Hub(tmp_path) as hub:
        repository = hub.create(NAME)
        stored = repository.object_path(SHA)
        stored.parent.mkdir(parents=True)
        with stored.open("wb") as file:
            file.truncate(SIZE)
        repository.commit(None, "Add", {"a.onnx": Large(SHA, SIZE), "b.txt": b"b"})
        if fault:
            hub.faults.add(Fault(kind=fault, at=1 << 20, times=None))
        large = hub.large_url(repository, SHA, "GET").partition("127.0.0.1")[2].partition("/")[2]
        kept = []
        for path in (f"/{large}", f"/{NAME}/resolve/main/b.txt", f"/{NAME}/resolve/main/a.onnx") * 8:
            client = asking(hub, path)
            if hangs_up:
                client.close()
            else:
                kept.append(client)
        silent = [socket.create_connection(client.getpeername()) for client in kept[:3]]
    for client in (*kept, *silent):
        client.close()
    del hub
    gc.collect()
    assert threading.active_count() == before
