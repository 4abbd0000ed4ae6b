"""Build engines here, where nobody has published any: the pipeline's own builder, as a program beside the runtime."""

import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.target import CacheKey
from morphstream.program import ending_of, run_program
from morphstream.source.folder import FolderSource
from morphstream.source.source import Source

TIMEOUT_S = 3600.0
_NOT_UPLOADED = 3  # as `stages.build` ends where it has built what it couldn't upload


class BuildError(MorphstreamError):
    """Engines can't be built here."""


@dataclass(frozen=True, slots=True)
class Builder:
    """The pipeline's builder, in a folder with its ``params.yaml`` and ``stages``.

    Attributes:
        pipeline: That folder; nothing is written there.
        contribute: The repository to publish what was built in, merged with what is there; empty for none. It is
            published with the write token of the environment.
        timeout_s: In which it must end.
    """

    pipeline: Path
    contribute: str = ""
    timeout_s: float = TIMEOUT_S

    def build(self, key: CacheKey, groups: Collection[str] | None, folder: Path) -> tuple[Source, bool]:
        """Build engines into a folder.

        Args:
            key: Of the engine cache.
            groups: Which of its groups; None for all.
            folder: An empty one.

        Returns:
            What has their layout, and whether it was published where it should be.

        Raises:
            BuildError: They can't be built; what the builder says of it stands on stderr.
        """
        what = f"build {key}: expected"
        if not (self.pipeline / "params.yaml").is_file():
            raise BuildError(f"{what} the pipeline in {self.pipeline}, seen no params.yaml there; name another folder")
        command = [sys.executable, "-m", "stages.build", str(key), "--into", str(folder.absolute())]
        for group in groups or ():
            command += ["--group", group]
        if self.contribute:
            command += ["--contribute", self.contribute]
        safe = {"PYTHONSAFEPATH": ""}  # as if unset: the folder's own stages are meant
        try:
            code = run_program(command, folder=self.pipeline, environment=safe, timeout_s=self.timeout_s)
        except TimeoutError:
            raise BuildError(f"{what} its end within {self.timeout_s:g} s, seen none; see what it says") from None
        if code not in (0, _NOT_UPLOADED):
            raise BuildError(f"{what} exit 0, seen {ending_of(code)}; see what it says above")
        return FolderSource(folder), code == 0
