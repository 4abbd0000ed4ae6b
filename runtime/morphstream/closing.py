"""The base of classes that hold something open and are closed by a ``with`` block."""

from abc import ABC, abstractmethod
from typing import Self


class Closing(ABC):
    """A context manager that gives itself, and is closed at the end of the block."""

    @abstractmethod
    def close(self) -> None:
        """Release what it holds open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
