"""Open and leave 200 sessions of a live page in every way, and look what is left.

Promised: no thread, task, session or descriptor is left of any; a session whose browser vanished ends within 20 s; 20
browsers may connect at once, and clients that send nothing hold nobody up; a paused stream takes less than 3 % of a
core.

Browsers are aiortc's, in processes of their own; the worker mirrors frames, so that what is seen is the page's.
"""

import argparse
import asyncio
import gc
import multiprocessing
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from morphstream.live.options import PageOptions
from morphstream.live.server import PageServer
from tests.live import TOKEN, MirroringWorker, halves
from tests.live.browsing import Camera, Peer, until

AT_ONCE, MOST, SILENT_S = 20, 64, 20.0
MOST_PAUSED = 0.03  # of a core
FRAMES = [halves(50, 200, size_wh=(640, 480))] * 400
WAYS = ("closed", "vanished", "gone in mid-handshake")


def main() -> int:
    """Print the figures; return 0 if the promises hold, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.live_sessions", description=__doc__)
    parser.add_argument("--sessions", type=int, default=200, help="how many to open (%(default)s)")
    args = parser.parse_args()
    worker = MirroringWorker()
    with PageServer(worker, PageOptions(port=0, token=TOKEN, most_sessions=MOST)) as page:
        in_process(watch, page.port, 1)  # what is loaded once
        wait_for(lambda: not open_streams(worker))
        before, begun = standing(), time.monotonic()
        with silent_clients(page.port):
            for number in range(0, args.sessions, AT_ONCE):
                wait_for(lambda: open_streams(worker) <= MOST - AT_ONCE)
                in_process(visit, page.port, number)
                print(f"{number + AT_ONCE:4} sessions: {open_streams(worker)} open, {standing()}", flush=True)
        vanished = time.monotonic()
        wait_for(lambda: not open_streams(worker))
        ended_s = time.monotonic() - vanished
        after = standing()
        print(f"{args.sessions} sessions in {vanished - begun:.0f} s, the last ended {ended_s:.1f} s after it was left")
        print(f"before {before}, after {after}")
        paused = in_process(watch, page.port, 10)
    print(f"paused: {100 * paused:.1f} % of a core; at most {100 * MOST_PAUSED:.0f}")
    is_clean = all(after[what] <= count for what, count in before.items())
    held = [is_clean, ended_s < SILENT_S, paused < MOST_PAUSED, threading.active_count() == 1]
    print("all as promised" if all(held) else "not as promised")
    return int(not all(held))


def visit(port: int, first: int) -> None:
    """Open `AT_ONCE` sessions at once, each left in another way, and vanish."""

    async def one(number: int) -> None:
        peer, way = Peer(port), WAYS[number % len(WAYS)]
        session = await peer.open()
        if way == "gone in mid-handshake":
            await peer.offer(session, Camera(FRAMES))
            return
        await peer.connect(session, Camera(FRAMES))
        await until(lambda: len(peer.frames) > 3)
        if way == "closed":
            await peer.ask("DELETE", session)

    async def all_of_them() -> None:
        await asyncio.gather(*(one(first + number) for number in range(AT_ONCE)))
        os._exit(0)  # as a browser that is killed

    asyncio.run(all_of_them())


def watch(port: int, seconds: float) -> None:
    """Pause a stream, let some time pass, and end the session."""

    async def run() -> None:
        peer = Peer(port)
        session = await peer.open()
        await peer.connect(session, Camera(FRAMES[:30]))
        await until(lambda: peer.frames)
        await peer.ask("PATCH", session, {"is_paused": True})
        await asyncio.sleep(1)
        for _ in range(int(seconds)):
            peer.channel.send('{"ping": 1}')
            await asyncio.sleep(1)
        await peer.ask("DELETE", session)
        await peer.close()

    asyncio.run(run())


def in_process(work: Callable[[int, int], None], port: int, number: int) -> float:
    """Do some work in a process of its own; return what part of a core this process took meanwhile."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=[port, number])
    process.start()
    begun, taken = time.monotonic(), time.process_time()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{work.__name__}: expected exit 0, seen {process.exitcode}")
    return (time.process_time() - taken) / (time.monotonic() - begun)


@contextmanager
def silent_clients(port: int) -> Iterator[None]:
    """Keep 30 connections that send nothing, or half a request and read nothing."""
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]
    for client in clients[::2]:
        client.sendall(b"POST /api/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
    try:
        yield
    finally:
        for client in clients:
            client.close()


def standing() -> dict[str, int]:
    """Return what this process has open; the pool of its event loop keeps its few threads."""
    gc.collect()
    threads = [thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio_")]
    tasks = [one for one in gc.get_objects() if isinstance(one, asyncio.Task) and not one.done()]
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    return {"threads": len(threads), "tasks": len(tasks), "descriptors": descriptors}


def open_streams(worker: MirroringWorker) -> int:
    """Return how many streams are open."""
    return sum(not stream.has_ended for stream in worker.streams)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so, a minute at most."""
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
