"""Frames of one input for every page that shows it."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from morphstream.artifact.errors import MorphstreamError, message_of
from morphstream.closing import Closing
from morphstream.frame import Frame
from morphstream.media.live.items import LiveFrame

_READ_S = 0.5  # after which it is looked whether anybody still wants frames
Taker = Callable[[Callable[[], Frame]], object]
_log = logging.getLogger("morphstream.live")


class PageInput(Protocol):
    """An input that a program has opened for its page, such as `LiveInput`."""

    @property
    def state(self) -> str:
        """What it does, in words: ``live``, or why not."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether no more frames come."""
        ...

    def read(self, timeout_s: float | None = None, /) -> LiveFrame | None:
        """Return the newest frame once there is one that wasn't read; None at the end, or after a time."""
        ...


class SharedInput(Closing):
    """Reads an input in a thread of its own, while anybody wants its frames, and gives each one to all of them."""

    def __init__(self, given: PageInput) -> None:
        """Begin without anybody; the caller closes the input, later."""
        self._input, self._takers, self._is_closed, self._error = given, list[Taker](), False, ""
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="morphstream-page-input", daemon=True)
        self._thread.start()

    @property
    def state(self) -> str:
        """What the input does, in words: ``live``, or why not."""
        return self._error or self._input.state

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def give_to(self, take: Taker) -> Callable[[], None]:
        """Give what returns a frame to a function, for each frame, in the thread of this input.

        Returns:
            What ends that, once called.
        """

        def leave() -> None:
            with self._changed:
                self._takers = [other for other in self._takers if other is not take]

        with self._changed:
            self._takers.append(take)
            self._changed.notify()
        return leave

    def _run(self) -> None:
        try:
            self._read()
        except MorphstreamError as error:
            self._error = message_of(error)
            _log.warning("%s", self._error)

    def _read(self) -> None:
        while not self._input.has_ended:
            with self._changed:
                self._changed.wait_for(lambda: self._takers or self._is_closed)
                if self._is_closed:
                    return
            if given := self._input.read(_READ_S):
                with self._changed:
                    takers = self._takers
                for take in takers:
                    take(lambda frame=given.frame: frame)  # type: ignore[misc]
