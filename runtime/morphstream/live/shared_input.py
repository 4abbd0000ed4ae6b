"""Frames of one input for every page that shows it."""

import threading
from collections.abc import Callable
from typing import Protocol

from morphstream.closing import Closing
from morphstream.frame import Frame


class InputFrame(Protocol):
    """A frame of an input."""

    @property
    def frame(self) -> Frame:
        """``(H, W, 3)`` uint8 BGR."""
        ...


class PageInput(Protocol):
    """An input that a program has opened for its page, such as a camera."""

    def read(self) -> InputFrame | None:
        """Return the next frame, None at the end."""
        ...

    @property
    def state(self) -> str:
        """What it does, in words: ``live`` or why not."""
        ...


class SharedInput(Closing):
    """Reads an input in a thread of its own, and gives each frame to whoever asked for them."""

    def __init__(self, given: PageInput) -> None:
        """Begin to read an input; the caller closes it, and by that ends the thread."""
        self._input, self._lock, self._takers = given, threading.Lock(), list[Callable[[Callable[[], Frame]], object]]()
        self._is_closed = False
        self._thread = threading.Thread(target=self._read, name="morphstream-page-input", daemon=True)
        self._thread.start()

    @property
    def state(self) -> str:
        """What the input does, in words."""
        return "the input has ended" if not self._thread.is_alive() else self._input.state

    def close(self) -> None:
        """End the thread, once the frame that it waits for has come or the input is closed."""
        self._is_closed = True

    def give_to(self, take: Callable[[Callable[[], Frame]], object]) -> Callable[[], None]:
        """Give each frame to a function, in the thread of this input; return what ends that."""
        with self._lock:
            self._takers.append(take)
        return lambda: self._leave(take)

    def _leave(self, take: Callable[[Callable[[], Frame]], object]) -> None:
        with self._lock:
            if take in self._takers:
                self._takers.remove(take)

    def _read(self) -> None:
        while not self._is_closed and (given := self._input.read()) is not None:
            frame = given.frame
            with self._lock:
                for take in self._takers:
                    take(lambda frame=frame: frame)  # type: ignore[misc]
