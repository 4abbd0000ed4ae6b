"""Where artifacts come from: the Protocol of a published layout, file for file the published repository."""

from typing import BinaryIO, Protocol

SMALL_BYTES_MAX = 64 << 20  # of a manifest, or of what the Hub says of a revision


class Source(Protocol):
    """What a boot reads from; ``str`` of it says where that is."""

    def read(self, path: str) -> bytes:
        """Return a small file, such as ``manifests/archives.json``.

        Raises:
            FetchError: It can't be had.
        """
        ...

    def open(self, path: str) -> BinaryIO:
        """Open a file such as ``archives/cpu-cache-x86_64.tar.zst`` for one pass; the caller closes it.

        Raises:
            FetchError: It can't be had.
        """
        ...
