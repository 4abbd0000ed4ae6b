"""Build engines on this machine, where none are published: the pipeline's own builder, run as a program."""

import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import SourceError
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import cache_path
from morphstream.program import ProgramError, run_program
from morphstream.source.fetch import Delivery, fetch_engines
from morphstream.source.folder import FolderSource
from morphstream.source.publication import Publication, PublishedManifest
from morphstream.source.transfer import Transfer

TIMEOUT_S = 3600.0
_NOT_UPLOADED = 3  # exit code of `stages.build` where it has built what it couldn't upload


class BuildError(SourceError):
    """Engines can't be built here; the builder's own messages are on stderr."""


@dataclass(frozen=True, slots=True)
class Builder:
    """The pipeline's builder, in a folder with its ``params.yaml`` and ``stages``.

    Attributes:
        pipeline: That folder; nothing is written there.
        contribute: The repository to publish the engines in, merged with what is there, with the write token of the
            environment; empty for none.
        timeout_s: Seconds in which a build must end.
    """

    pipeline: Path
    contribute: str = ""
    timeout_s: float = TIMEOUT_S

    def build(self, key: CacheKey, groups: Collection[str] | None, folder: Path) -> bool:
        """Build engines of some groups, or all, into an empty folder, in the published layout.

        Returns:
            Whether they were published where they should be.
        """
        if not (self.pipeline / "params.yaml").is_file():
            expected = f"build {key}: expected the pipeline in {self.pipeline}"
            raise BuildError(f"{expected}, seen no params.yaml there; name another folder")
        command = [sys.executable, "-m", "stages.build", str(key), "--into", str(folder.absolute())]
        for group in groups or ():
            command += ["--group", group]
        if self.contribute:
            command += ["--contribute", self.contribute]
        try:
            return not run_program(
                command,
                folder=self.pipeline,
                environment={"PYTHONSAFEPATH": ""},  # as if unset: the folder's own stages are meant
                timeout_s=self.timeout_s,
                accepted=(0, _NOT_UPLOADED),
            )
        except ProgramError as error:
            raise BuildError(f"build {key}: {error}; see what it says above") from None

    def delivery(self, key: CacheKey, groups: Collection[str] | None, unpublished: Callable[[], object]) -> Delivery:
        """Return a delivery that builds engines when it is opened, and calls a function if they weren't published."""

        def open_build(staging: Path) -> PublishedManifest:
            folder = Path(tempfile.mkdtemp(dir=staging))  # a name that the builder of a killed boot doesn't know
            if not self.build(key, groups, folder):
                unpublished()
            folder.rename(staging / "build")
            return Publication(FolderSource(staging / "build"), trust=None).manifest(key)  # this machine made it

        def fetch(files: Mapping[str, Digest], folder: Path) -> None:
            fetch_engines(FolderSource(folder.parent / "build"), key, files, folder, transfer=Transfer())

        where = f"build {key}"
        return Delivery(
            archive=cache_path(key), cache_key=key, where=where, open=open_build, fetch=fetch, is_trusted=True
        )
