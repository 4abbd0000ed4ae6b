"""The Protocol of a source: a published layout, file for file the published repository."""

from typing import BinaryIO, Protocol

SMALL_BYTES_MAX = 64 << 20  # size of a manifest, or of the Hub's answer about a revision


class Source(Protocol):
    """Where artifacts come from; its ``str`` names it for people.

    A source on another machine has an attribute ``is_remote`` that is true.
    """

    def read(self, path: str) -> bytes:
        """Return a file of at most SMALL_BYTES_MAX bytes, such as ``manifests/archives.json``.

        Raises:
            AbsentError: There is no such file.
            FetchError: It is larger, or can't be read.
        """
        ...

    def open(self, path: str) -> BinaryIO:
        """Open a file such as ``archives/cpu-cache-x86_64.tar.zst`` for one pass; the caller closes it.

        Raises:
            AbsentError: There is no such file.
            FetchError: It can't be read.
        """
        ...
