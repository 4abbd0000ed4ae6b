"""Where artifacts come from: a published layout, file for file the published repository."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from morphstream.artifact.errors import AbsentError, FetchError

HUB = "hub:"  # begins the name of a repository
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


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A published layout in a folder of this machine, such as the pipeline's ``build``."""

    root: Path

    def __str__(self) -> str:
        return str(self.root)

    def read(self, path: str) -> bytes:
        """Return a small file; raises as `Source` says."""
        with self.open(path) as file:
            try:
                text = file.read(SMALL_BYTES_MAX + 1)
            except OSError as error:
                raise self._refusal(path, error) from error
        if len(text) > SMALL_BYTES_MAX:
            seen = "more; publish it again or name another folder"
            raise FetchError(f"{self}: expected {path} of {SMALL_BYTES_MAX} bytes at most, seen {seen}")
        return text

    def open(self, path: str) -> BinaryIO:
        """Open a file; raises as `Source` says."""
        try:
            return (self.root / path).open("rb")
        except OSError as error:
            raise self._refusal(path, error) from error

    def _refusal(self, path: str, error: OSError) -> FetchError:
        kind = AbsentError if isinstance(error, FileNotFoundError) else FetchError
        return kind(f"{self}: expected {path}, seen {error.strerror}; run `dvc repro` or name another folder")


def is_offline() -> bool:
    """Tell whether HF_HUB_OFFLINE, or else TRANSFORMERS_OFFLINE, is 1, on, yes or true, in letters of any size.

    Source: huggingface_hub, constants.py.
    """
    said = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return said.upper() in {"1", "ON", "YES", "TRUE"}


def sources_of(
    source: Source | str | os.PathLike[str] | Sequence[Source | str | os.PathLike[str]] | None,
) -> list[Source]:
    """Return one source or several in their order; None for MORPHSTREAM_SOURCE, with commas between, else ``build``.

    Raises:
        ValueError: A text names none.
        OSError: The Hub's token is there, and can't be read.
    """
    if source is None:
        source = [part.strip() for part in (os.environ.get("MORPHSTREAM_SOURCE") or "build").split(",") if part.strip()]
    several = source if isinstance(source, Sequence) and not isinstance(source, str) else [source]
    return [source_of(one) if isinstance(one, str | os.PathLike) else one for one in several]


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
