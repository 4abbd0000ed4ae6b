"""One page's stream: what its user has chosen, its frames in and out, its connection."""

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

from av import VideoFrame

from morphstream.artifact.errors import MorphstreamError, message_of
from morphstream.face.types import Identity
from morphstream.frame import Frame
from morphstream.live.choices import Choices
from morphstream.live.connection import Connection
from morphstream.live.latest import Latest
from morphstream.live.options import PageOptions, ice_server_of
from morphstream.live.shared_input import SharedInput
from morphstream.live.status import status_of
from morphstream.live.stream import PageStream
from morphstream.live.tracks import frame_of, picture_of
from morphstream.media.visible_mark import draw_visible_mark
from morphstream.worker.models import ModelSwitch
from morphstream.worker.queues import Swapped

_QUIET_S = 2.0  # without a new frame, after which a stream isn't live
_log = logging.getLogger("morphstream.live")


class LiveSession:
    """A page's own stream, from when the page is opened until it is closed or silent; for one event loop.

    Two threads are its own: one gives frames to the stream, the newest first, the other draws the mark into those that
    come back.

    Attributes:
        id: By which requests name it; nobody can guess it.
        choices: What its user has chosen.
        touched_s: When there was a sign of life, on the monotonic clock.
        is_paused: Whether the last frame stays.
        changes: Held while choices are changed, as one change builds on the other.
    """

    def __init__(
        self, stream: PageStream, choices: Choices, options: PageOptions, server_input: SharedInput | None
    ) -> None:
        """Begin to swap what comes.

        Args:
            stream: Of its own; closed with it.
            choices: To begin with.
            options: Of the page.
            server_input: The input of the program, for a page that asks for it.
        """
        self.id, self.choices, self.is_paused = secrets.token_urlsafe(16), choices, False
        self.stream, self._options, self._input = stream, options, server_input
        self._loop, self._connecting, self.changes = asyncio.get_running_loop(), asyncio.Lock(), asyncio.Lock()
        self._waiting, self._leave, self._is_own_input = Latest[Callable[[], Frame]](), _nothing, False
        self._connection: Connection | None = None
        self._last: Swapped | None = None
        self._picture: VideoFrame | None = None
        self._switch: ModelSwitch | None = None
        self._shown_s, self._error = 0.0, ""
        self.touch()
        self._threads = [threading.Thread(target=work, name=stream.stats.name) for work in (self._feed, self._draw)]
        for thread in self._threads:
            thread.start()

    def touch(self) -> None:
        """Note a sign of life."""
        self.touched_s = time.monotonic()

    async def answer(self, sdp: str, *, is_own_input: bool) -> str:
        """Answer a browser's offer, in place of a connection that there was; errors as of `Connection.answer`.

        Args:
            sdp: The offer.
            is_own_input: Whether the frames are the program's own input, and not the browser's.
        """
        async with self._connecting:
            await self._disconnect()
            take = _ignore if is_own_input else self._take
            servers = [ice_server_of(server) for server in self._options.ice_servers]
            self._connection = Connection(servers, take=take, status=self.status, touch=self.touch)
            try:
                answer = await self._connection.answer(sdp)
            except BaseException:
                await self._disconnect()
                raise
            if self._picture:
                self._connection.track.show(self._picture)
            self._is_own_input = is_own_input
            self._listen()
            return answer

    def pause(self, *, is_paused: bool) -> None:
        """Have the last frame stay, or others come again."""
        self.is_paused = is_paused
        self._listen()

    async def change(self, choices: Choices) -> None:
        """Use other choices from the next frame on; errors as of `SwapStream.change`, and then nothing changes."""
        look = None if choices.look == self.choices.look else choices.look
        await asyncio.to_thread(self.stream.change, wanted=choices.wanted, look=look)
        self.choices = choices

    async def identify(self, track: int) -> Identity:
        """Return whose face is seen; errors as of `SwapStream.identify`."""
        return await asyncio.to_thread(self.stream.identify, track)

    def switch(self, swap_model: str) -> None:
        """Begin to switch to another swap model; errors as of `SwapStream.switch`."""
        self._switch = self.stream.switch(swap_model)

    def status(self) -> Mapping[str, object]:
        """Return how the stream is, as JSON has it."""
        return status_of(
            self.stream.stats,
            self._last,
            self.choices,
            self._switch,
            state=self._state(),
            error=self._error,
        )

    async def close(self) -> None:
        """End the connection, the threads and the stream."""
        async with self._connecting:
            await self._disconnect()
            self._waiting.close()
            await asyncio.to_thread(self._end)

    def _end(self) -> None:
        self.stream.close()
        for thread in self._threads:
            thread.join()

    async def _disconnect(self) -> None:
        connection, self._connection, self._is_own_input = self._connection, None, False
        self._listen()
        if connection:
            await connection.close()

    def _listen(self) -> None:
        """Get the frames of the program's input if they are wanted now, or no more."""
        self._leave()
        self._leave = _nothing
        if self._is_own_input and self._input and not self.is_paused:
            self._leave = self._input.give_to(self._waiting.put)

    def _state(self) -> str:
        if self._error:
            return "failed"
        if self.is_paused:
            return "paused"
        if self._is_own_input and self._input and self._input.state != "live":
            return self._input.state
        return "live" if time.monotonic() - self._shown_s < _QUIET_S else "waiting for frames"

    def _take(self, frame: VideoFrame) -> None:
        self._waiting.put(partial(frame_of, frame))

    def _feed(self) -> None:
        """Push frames, each when its turn comes."""
        try:
            while (read := self._waiting.take()) is not None:
                if not self.is_paused:
                    self.stream.push(read(), time.monotonic())
        except MorphstreamError as error:
            self._fail(error)

    def _draw(self) -> None:
        """Show the frames that come back."""
        try:
            while (swapped := self.stream.pull(newest=True)) is not None:
                if self._options.visible_mark:
                    draw_visible_mark(swapped.frame)
                self._loop.call_soon_threadsafe(self._show, picture_of(swapped.frame), swapped)
        except MorphstreamError as error:
            self._fail(error)

    def _show(self, picture: VideoFrame, swapped: Swapped) -> None:
        self._last, self._picture, self._shown_s = swapped, picture, time.monotonic()
        if self._connection:
            self._connection.track.show(picture)

    def _fail(self, error: MorphstreamError) -> None:
        """Say why the stream broke."""
        self._error = message_of(error)
        _log.warning("%s: %s", self.stream.stats.name, self._error)


def _nothing() -> None: ...


def _ignore(_: VideoFrame) -> None: ...
