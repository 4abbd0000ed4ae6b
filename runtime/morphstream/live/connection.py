"""One WebRTC connection with a browser: its frames in, swapped ones out, and what they say about them."""

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.codecs import is_rtx
from aiortc.exceptions import InvalidAccessError, InvalidStateError, OperationError
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import SessionDescription
from av import VideoFrame

from morphstream.artifact.errors import MorphstreamError
from morphstream.live.tracks import SwappedTrack

STATUS_S = 0.25  # between two messages about the stream
GATHER_S = 8.0  # for ICE servers to answer; aioice itself stops after 5 s
_CLOSE_S = 1.5
_MOST_WAITING = 1 << 16  # bytes of messages for a browser that doesn't read
_BITRATES = {"x-google-start-bitrate": 3000, "x-google-min-bitrate": 1500, "x-google-max-bitrate": 8000}  # kbit/s
_UNFIT = (ValueError, LookupError, AttributeError, AssertionError, TypeError)  # what aiortc raises of a broken offer
_REFUSED = (InvalidAccessError, InvalidStateError, OperationError)
_log = logging.getLogger("morphstream.live")


class OfferError(MorphstreamError):
    """A browser's offer can't be answered."""


class Connection:
    """A WebRTC connection with a browser, from its offer until it is closed; for one event loop.

    Attributes:
        track: Where swapped frames go.
    """

    def __init__(
        self,
        ice_servers: Sequence[Mapping[str, str]],
        *,
        take: Callable[[VideoFrame], object],
        status: Callable[[], Mapping[str, object]],
        touch: Callable[[], object],
    ) -> None:
        """Begin without a browser.

        Args:
            ice_servers: As `ice_server_of` returns them.
            take: Called with each of the browser's frames as it comes.
            status: What the browser is told every `STATUS_S`, as JSON has it.
            touch: Called at each sign of life.
        """
        servers = [RTCIceServer(**server) for server in ice_servers]
        self.track = SwappedTrack()
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._take, self._status, self._touch = take, status, touch
        self._tasks = set[asyncio.Task[None]]()
        self._peer.on("track", self._receive)
        self._peer.on("datachannel", self._open)

    async def answer(self, sdp: str) -> str:
        """Return the answer to an offer, in SDP.

        Raises:
            OfferError: The offer is broken, or has no video; or there is no address for the browser to send to.
        """
        peer = self._peer
        try:
            await peer.setRemoteDescription(RTCSessionDescription(_without_names(sdp), "offer"))
            if not any(one.kind == "video" for one in peer.getTransceivers()):
                raise OfferError("offer: expected one with video, seen none; add a transceiver for it")
            peer.addTrack(self.track)
            async with asyncio.timeout(GATHER_S):
                await peer.setLocalDescription(await peer.createAnswer())
        except TimeoutError:
            expected = f"offer: expected the ICE servers to answer within {GATHER_S:g} s, seen none"
            raise OfferError(f"{expected}; check them, or leave them out on a local network") from None
        except _UNFIT + _REFUSED as error:
            seen = f"seen what fails with {type(error).__name__}: {error}"
            raise OfferError(f"offer: expected SDP that can be answered, {seen}") from None
        own = peer.localDescription.sdp
        if "a=candidate:" not in own:
            expected = "connection: expected a network address of this machine, seen the loopback one alone"
            raise OfferError(f"{expected}, by which browsers send no video; connect it to a network")
        return _with_bitrates(own)

    async def close(self) -> None:
        """End the connection and all of its tasks; one that doesn't end in time is left to the system."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._peer.close()
        except TimeoutError:
            _log.warning("connection: expected its end within %g s, seen none; it is left behind", _CLOSE_S)

    def _receive(self, track: MediaStreamTrack) -> None:
        if track.kind == "video":
            self._begin(self._take_from(track))

    async def _take_from(self, track: MediaStreamTrack) -> None:
        """Take every frame as it comes: what isn't taken waits, in a queue without an end."""
        with suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                self._touch()
                if isinstance(frame, VideoFrame):
                    self._take(frame)

    def _open(self, channel: RTCDataChannel) -> None:
        if channel.label == "status":
            channel.on("message", lambda text: self._reply(channel, text))
            self._begin(self._tell(channel))

    async def _tell(self, channel: RTCDataChannel) -> None:
        while channel.readyState in ("connecting", "open"):
            _send(channel, self._status())
            await asyncio.sleep(STATUS_S)

    def _reply(self, channel: RTCDataChannel, text: object) -> None:
        self._touch()
        with suppress(ValueError, TypeError, LookupError, RecursionError):  # whatever else it says is no question
            _send(channel, {"pong": json.loads(text)["ping"]})  # type: ignore[arg-type]

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _send(channel: RTCDataChannel, data: Mapping[str, object]) -> None:
    """Send an object, unless the browser doesn't read or is gone."""
    if channel.readyState == "open" and channel.bufferedAmount < _MOST_WAITING:
        with suppress(InvalidStateError):
            channel.send(json.dumps(data))


def _without_names(sdp: str) -> str:
    """Return an offer without candidates by mDNS, which browsers hide their addresses by.

    To resolve one takes seconds where nobody answers, and without them the browser is found by what it sends.
    """
    lines = sdp.splitlines(keepends=True)
    return "".join(line for line in lines if not (line.startswith("a=candidate:") and ".local " in line))


def _with_bitrates(sdp: str) -> str:
    """Return an answer that has Chromium begin with a bitrate at which a face is sharp; others ignore it."""
    description = SessionDescription.parse(sdp)
    for media in description.media:
        for codec in media.rtp.codecs if media.kind == "video" else ():
            if not is_rtx(codec):
                codec.parameters.update(_BITRATES)
    return str(description)
