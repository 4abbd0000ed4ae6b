"""Build engines on this machine, where none are published: the pipeline's own builder, run as a program."""

import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.target import CacheKey
from morphstream.artifact.vocabulary import cache_path
from morphstream.program import ending_of, run_program
from morphstream.source.fetch import Delivery, fetch_engines
from morphstream.source.folder import FolderSource
from morphstream.source.publication import PublishedManifest, read_manifest
from morphstream.source.transfer import Transfer

TIMEOUT_S = 3600.0
_NOT_UPLOADED = 3  # exit code of `stages.build` where it has built what it couldn't upload


class BuildError(MorphstreamError):
    """Engines can't be built here."""


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
        """Build engines into a folder, in the published layout.

        Args:
            key: Cache key of the engines.
            groups: Which groups; None for all.
            folder: An empty folder.

        Returns:
            Whether they were published where they should be.

        Raises:
            BuildError: They can't be built; the builder's own messages are on stderr.
        """
        what = f"build {key}: expected"
        if not (self.pipeline / "params.yaml").is_file():
            raise BuildError(f"{what} the pipeline in {self.pipeline}, seen no params.yaml there; name another folder")
        command = [sys.executable, "-m", "stages.build", str(key), "--into", str(folder.absolute())]
        for group in groups or ():
            command += ["--group", group]
        if self.contribute:
            command += ["--contribute", self.contribute]
        environment = {"PYTHONSAFEPATH": ""}  # as if unset: the folder's own stages are meant
        try:
            code = run_program(command, folder=self.pipeline, environment=environment, timeout_s=self.timeout_s)
        except TimeoutError:
            raise BuildError(f"{what} its end within {self.timeout_s:g} s, seen none; see what it says") from None
        if code not in (0, _NOT_UPLOADED):
            raise BuildError(f"{what} exit 0, seen {ending_of(code)}; see what it says above")
        return code == 0


def build_delivery(key: CacheKey, build: Callable[[Path], object]) -> Delivery:
    """Return the delivery of engines that are built when it is opened.

    Args:
        key: Cache key of the engines.
        build: Builds them into an empty folder, in the published layout; raises what `Builder.build` raises.
    """

    def open_build(staging: Path) -> PublishedManifest:
        folder = Path(tempfile.mkdtemp(dir=staging))  # a name that the builder of a killed boot doesn't know
        build(folder)
        folder.rename(staging / "build")
        return read_manifest(FolderSource(staging / "build"), key)

    def fetch(files: Mapping[str, Digest], folder: Path) -> None:
        fetch_engines(FolderSource(folder.parent / "build"), key, files, folder, transfer=Transfer())

    return Delivery(archive=cache_path(key), cache_key=key, where=f"build {key}", open=open_build, fetch=fetch)
