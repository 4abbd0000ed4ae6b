"""A bounded queue between two threads, which either side can end."""

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class BoundedQueue(Generic[T]):
    """Items in order, from one writing thread to one reading thread.

    Attributes:
        dropped: How many items made room for newer ones.
    """

    def __init__(self, size: int, *, drops_oldest: bool) -> None:
        """Make an empty queue.

        Args:
            size: Most items that wait in it, 1 or more.
            drops_oldest: Whether a full queue drops its oldest item for a new one; else `put` waits for room.
        """
        self.dropped = 0
        self._items: deque[T] = deque()
        self._size, self._drops_oldest, self._is_ended = size, drops_oldest, False
        self._changed = threading.Condition()

    def put(self, item: T) -> bool:
        """Append an item, and return whether it will be read: False once the queue has ended."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._items) < self._size or self._drops_oldest or self._is_ended)
            if self._is_ended:
                return False
            if len(self._items) == self._size:
                self._items.popleft()
                self.dropped += 1
            self._items.append(item)
            self._changed.notify()
            return True

    def __iter__(self) -> Iterator[T]:
        """Yield the items, waiting for each, until the queue has ended and is empty."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._is_ended)
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify()
            yield item

    def end(self, *, discard: bool = False) -> None:
        """End the queue, for both sides; what waits in it can still be read, or is discarded."""
        with self._changed:
            self._is_ended = True
            if discard:
                self._items.clear()
            self._changed.notify_all()
