"""What a browser does, in a test: asks over HTTP, and connects by WebRTC."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from http.client import HTTPConnection
from typing import Any

from aiortc import MediaStreamTrack, RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from morphstream.frame import Frame
from morphstream.live.tracks import frame_of, picture_of
from tests.live import TOKEN

_WAIT_S = 20.0  # for what comes, however slow the machine is


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """What it holds."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The one line of a refusal."""
        line = self.json["error"]
        assert isinstance(line, str)
        assert "\n" not in line
        return line


def ask(port: int, method: str, path: str, body: object = None, **headers: str) -> Answer:
    """Ask a page, as a program with the token does, or with other headers; a body is JSON but for bytes."""
    sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    headers = {name.replace("_", "-"): value for name, value in headers.items()} or {"Authorization": f"Bearer {TOKEN}"}
    connection = HTTPConnection("127.0.0.1", port, timeout=_WAIT_S)
    try:
        connection.request(method, path, sent, headers)
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


class Camera(MediaStreamTrack):
    """Frames of a test, 50 a second, and then none."""

    kind = "video"

    def __init__(self, frames: Sequence[Frame]) -> None:
        """Begin before the first."""
        super().__init__()
        self._frames, self._count = list(frames), 0

    async def recv(self) -> VideoFrame:
        """Return the next frame; after the last one, wait for the end."""
        await asyncio.sleep(0.02)
        while not self._frames:
            await asyncio.sleep(_WAIT_S)
            raise MediaStreamError
        picture = picture_of(self._frames.pop(0))
        picture.pts, picture.time_base = 1800 * self._count, Fraction(1, 90_000)
        self._count += 1
        return picture


@dataclass
class Peer:
    """A browser's connection.

    Attributes:
        port: Of the page.
        frames: What came back.
        messages: Of the status channel.
    """

    port: int
    frames: list[Frame] = field(default_factory=list)
    messages: list[Mapping[str, Any]] = field(default_factory=list)

    async def ask(self, method: str, path: str, body: object = None) -> Answer:
        """Ask the page over HTTP."""
        return await asyncio.to_thread(ask, self.port, method, path, body)

    async def open(self) -> str:
        """Open a session and return its path."""
        return f"/api/sessions/{(await self.ask('POST', '/api/sessions')).json['id']}"

    async def offer(self, session: str, camera: Camera | None) -> Answer:
        """Offer a connection, with the page's own input if there is no camera, and return the answer to it."""
        self._tasks = list[asyncio.Future[None]]()
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.addTransceiver(camera or "video", "sendrecv" if camera else "recvonly")
        self.channel: RTCDataChannel = self.connection.createDataChannel("status")
        self.channel.on("message", lambda text: self.messages.append(json.loads(text)))
        self.connection.on("track", lambda track: self._tasks.append(asyncio.ensure_future(self._watch(track))))
        await self.connection.setLocalDescription(await self.connection.createOffer())
        sdp, given = self.connection.localDescription.sdp, "browser" if camera else "server"
        return await self.ask("POST", f"{session}/offer", {"sdp": sdp, "type": "offer", "input": given})

    async def connect(self, session: str, camera: Camera | None) -> None:
        """Connect to a session."""
        answer = await self.offer(session, camera)
        assert answer.status == 200, answer.body
        await self.connection.setRemoteDescription(RTCSessionDescription(answer.json["sdp"], answer.json["type"]))

    async def close(self) -> None:
        """Disconnect."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.connection.close()

    async def _watch(self, track: MediaStreamTrack) -> None:
        with suppress(MediaStreamError):
            while True:
                picture = await track.recv()
                assert isinstance(picture, VideoFrame)
                self.frames.append(frame_of(picture))


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition is true; fail if it never is."""
    end = time.monotonic() + _WAIT_S
    while not condition():
        assert time.monotonic() < end, "nothing came"
        await asyncio.sleep(0.01)
