"""A server of WHIP on loopback that takes one stream after another, by aiortc."""

import asyncio
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from morphstream.media.video.colour import bgr_of
from tests.media.live.counted import number_of


@dataclass
class WhipServer:
    """What came to a server.

    Attributes:
        address: Where it listens.
        tokens: That were given with each offer.
        numbers: That frames showed.
        kinds: How many frames of each kind came.
        ended: How many streams were ended by their sender.
    """

    address: str = ""
    tokens: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    ended: int = 0

    async def _offer(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers.get("Authorization", ""))
        peer = RTCPeerConnection()
        tasks = request.app[_TASKS]

        @peer.on("track")
        def receive(track: MediaStreamTrack) -> None:
            tasks.append(asyncio.ensure_future(self._receive(track)))

        await peer.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        request.app[_PEERS].append(peer)
        headers = {"Location": "/whip/1"}
        return web.Response(status=201, text=peer.localDescription.sdp, content_type="application/sdp", headers=headers)

    async def _receive(self, track: MediaStreamTrack) -> None:
        with suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                self.kinds[track.kind] += 1
                if isinstance(frame, VideoFrame):
                    self.numbers.append(number_of(bgr_of(frame)))

    async def _end(self, _: web.Request) -> web.Response:
        self.ended += 1
        return web.Response()

    async def serve(self, is_ready: threading.Event, is_over: asyncio.Event) -> None:
        """Serve until told."""
        app = web.Application()
        app[_TASKS], app[_PEERS] = [], []
        app.router.add_post("/whip", self._offer)
        app.router.add_delete("/whip/1", self._end)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"127.0.0.1:{runner.addresses[0][1]}/whip"
        is_ready.set()
        await is_over.wait()
        for peer in app[_PEERS]:
            await peer.close()
        await asyncio.gather(*app[_TASKS])
        await runner.cleanup()


_TASKS = web.AppKey("tasks", list[asyncio.Future[None]])
_PEERS = web.AppKey("peers", list[RTCPeerConnection])


@contextmanager
def whip_server() -> Iterator[WhipServer]:
    """Yield a server that runs until the block ends."""
    server, is_ready, loop = WhipServer(), threading.Event(), asyncio.new_event_loop()
    is_over = asyncio.Event()
    call: Coroutine[Any, Any, None] = server.serve(is_ready, is_over)
    thread = threading.Thread(target=loop.run_until_complete, args=(call,))
    thread.start()
    is_ready.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(is_over.set)
        thread.join()
        loop.close()
