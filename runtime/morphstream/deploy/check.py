"""The check of a release: a command that exits with 0 if the code works."""

import logging
import os
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from morphstream.artifact.errors import MorphstreamError
from morphstream.deploy.releases import CODE
from morphstream.program import ending_of, run_program

TIMEOUT_S = 60.0  # for an application that opens its sessions before it reports that it works

_log = logging.getLogger("morphstream.deploy")


class DeployError(MorphstreamError):
    """A tag has no code, or its code fails its check; the release before stays current."""


@dataclass(frozen=True, slots=True)
class Check:
    """A command that a release must pass before it becomes current.

    Attributes:
        command: Its words, run by no shell; none where there is nothing to check.
        timeout_s: Seconds in which it must end.
    """

    command: tuple[str, ...] = ()
    timeout_s: float = TIMEOUT_S

    @classmethod
    def parse(cls, text: str, timeout_s: float = TIMEOUT_S) -> Self:
        """Read a command as a shell would split it into words.

        Raises:
            ValueError: A quotation isn't closed.
        """
        try:
            return cls(tuple(shlex.split(text)), timeout_s)
        except ValueError as error:
            raise ValueError(f"check: expected a command in a shell's words, seen {text!r}: {error}") from error

    def run(self, release: Path) -> None:
        """Run the command in a release's code, which is first on its PYTHONPATH; its output goes to stderr.

        Raises:
            DeployError: It exits with another code than 0, or not in time, or can't be started.
        """
        if not self.command:
            return
        code = release / CODE
        path = {"PYTHONPATH": os.pathsep.join(filter(None, (str(code), os.environ.get("PYTHONPATH"))))}
        what, start = f"release {release.name}: its check `{shlex.join(self.command)}`", time.monotonic()
        try:
            ending = run_program(self.command, folder=code, environment=path, timeout_s=self.timeout_s)
        except TimeoutError:
            raise DeployError(
                f"{what}: expected its end within {self.timeout_s:g} s, seen none; fix the code"
            ) from None
        except OSError as error:
            raise DeployError(f"{what}: expected a program, seen {error.strerror}; fix the check") from error
        if ending:
            seen = f"{ending_of(ending)}; fix the code, the release before stays"
            raise DeployError(f"{what}: expected exit 0, seen {seen}")
        _log.info("%s passed in %.2f s", what, time.monotonic() - start)
