"""A published layout in a folder of this machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from morphstream.artifact.errors import AbsentError, FetchError
from morphstream.artifact.regular_file import open_regular
from morphstream.source.source import SMALL_BYTES_MAX


@dataclass(frozen=True, slots=True)
class FolderSource:
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
            return open_regular(self.root / path)
        except OSError as error:
            raise self._refusal(path, error) from error

    def _refusal(self, path: str, error: OSError) -> FetchError:
        kind = AbsentError if isinstance(error, FileNotFoundError) else FetchError
        return kind(f"{self}: expected {path}, seen {error.strerror}; run `dvc repro` or name another folder")
