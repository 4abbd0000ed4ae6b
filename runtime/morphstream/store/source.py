"""Where artifacts come from: a published layout, as `manifests/NAME` and `archives/NAME`."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from morphstream.artifact.errors import FetchError
from morphstream.artifact.vocabulary import archive_path

HUB = "hub:"  # begins the name of a repository


class Source(Protocol):
    """What a boot reads from; ``str`` of it says where that is."""

    def read_manifest(self, name: str) -> bytes:
        """Return a manifest such as ``archives.json``.

        Raises:
            FetchError: It can't be had.
        """
        ...

    def open_archive(self, name: str) -> BinaryIO:
        """Open an archive such as ``cpu-cache-x86_64.tar.zst`` for one pass; the caller closes it.

        Raises:
            FetchError: It can't be had.
        """
        ...


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A published layout in a folder of this machine, such as the pipeline's ``build``."""

    root: Path

    def __str__(self) -> str:
        return str(self.root)

    def read_manifest(self, name: str) -> bytes:
        """Return a manifest; raises as `Source` says."""
        with self._open(f"manifests/{name}") as file:
            return file.read()

    def open_archive(self, name: str) -> BinaryIO:
        """Open an archive; raises as `Source` says."""
        return self._open(archive_path(name))

    def _open(self, path: str) -> BinaryIO:
        try:
            return (self.root / path).open("rb")
        except OSError as error:
            remedy = "run `dvc repro` or name another folder"
            raise FetchError(f"{self}: expected {path}, seen {error.strerror}; {remedy}") from error


def source_of(text: str | os.PathLike[str]) -> Source:
    """Return the source that ``hub:ORGANISATION/NAME``, or the same with ``@REVISION``, or a folder names.

    Raises:
        ValueError: It is of no such form.
        OSError: The Hub's token is there, and can't be read.
    """
    if not (isinstance(text, str) and text.startswith(HUB)):
        return LocalSource(Path(text))
    from morphstream.store.hub import HubSource  # here, so that a boot from a folder doesn't load HTTP

    repo, at, revision = text.removeprefix(HUB).partition("@")
    return HubSource(repo, revision) if at else HubSource(repo)
