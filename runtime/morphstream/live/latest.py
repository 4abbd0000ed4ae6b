"""A place for one value, in which the newest wins."""

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """A place for one value between threads: a new one replaces one that nobody has taken."""

    def __init__(self) -> None:
        """Begin empty."""
        self._changed, self._values, self._is_closed = threading.Condition(), list[T](), False

    def put(self, value: T) -> bool:
        """Place a value, and return whether it replaced another; a closed place takes none."""
        with self._changed:
            if self._is_closed:
                return False
            before, self._values = self._values, [value]
            self._changed.notify()
            return bool(before)

    def take(self) -> T | None:
        """Wait for a value and take it; None when the place is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._values or self._is_closed)
            return None if self._is_closed else self._values.pop()

    def close(self) -> None:
        """End all waiting."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
