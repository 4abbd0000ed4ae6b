"""The state of a workspace as the page shows it: the newest that is known, at once, while it is read again.

What is there is read whenever a file of it changed. What is stale takes the farm's plan longer to find, so that it is
asked in a process of its own, and not while a job changes the workspace anyway.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from morphstream.artifact.errors import MorphstreamError
from stages.admin.matrix import Matrix
from stages.admin.reading import Stale, marks, read_matrix
from stages.program import line_of
from stages.workspace import Workspace

_EVERY_S = 1.0
_PLAN = ("-m", "stages.farm", "plan", "--json")


class State:
    """Remembers what was read of a workspace, and reads it again when that changed; for one event loop.

    Attributes:
        matrix: The newest that is known.
        changed: Each is called when something else is known than before.
    """

    def __init__(
        self,
        workspace: Workspace,
        interpreter: Sequence[str],
        is_busy: Callable[[], bool],
        *,
        every_s: float = _EVERY_S,
    ) -> None:
        """Begin with nothing known.

        Args:
            workspace: What is read.
            interpreter: What runs the farm's plan.
            is_busy: Returns whether a job changes the workspace.
            every_s: How often files are looked at, seconds.
        """
        self.matrix = Matrix(rows=(), columns=(), stale={}, is_checked=False)
        self.changed: list[Callable[[], None]] = []
        self._workspace, self._interpreter, self._is_busy, self._every_s = workspace, interpreter, is_busy, every_s
        self._stale: Stale | None = None
        self._is_planned, self._wanted = False, asyncio.Event()

    def look_again(self) -> None:
        """Have the workspace read again, though no file seems to have changed."""
        self._is_planned = False
        self._know(replace(self.matrix, is_checked=False))
        self._wanted.set()

    async def read(self) -> None:
        """Read what is there; what is stale is as it was."""
        try:
            matrix = await asyncio.to_thread(read_matrix, self._workspace, self._stale)
        except (MorphstreamError, OSError) as error:
            matrix = replace(self.matrix, refusal=line_of(error))
        self._know(replace(matrix, is_checked=matrix.is_checked and self._is_planned))

    async def run(self) -> None:
        """Read the workspace, and again whenever it changes, until cancelled."""
        seen: object = None
        while True:
            self._wanted.clear()
            if seen != (now := await asyncio.to_thread(marks, self._workspace)):
                seen, self._is_planned = now, False
                await self.read()
            if not self._is_planned and not self._is_busy():
                self._is_planned = True  # what changes from now on is looked at again
                await self._plan()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._wanted.wait()

    async def _plan(self) -> None:
        """Ask the farm what is stale, and read what is there with that."""
        try:
            self._stale = await _stale(self._workspace, self._interpreter)
        except MorphstreamError as error:
            self._know(replace(self.matrix, refusal=str(error)))
            return
        await self.read()

    def _know(self, matrix: Matrix) -> None:
        if matrix != self.matrix:
            self.matrix = matrix
            for tell in self.changed:
                tell()


async def _stale(workspace: Workspace, interpreter: Sequence[str]) -> Stale:
    """Return the reasons of each stage that is stale, by stage, as the farm's plan has them."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *interpreter, *_PLAN, cwd=workspace.root, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    try:
        output, errors = await process.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
        raise
    try:
        stages = json.loads(output) if process.returncode == 0 else None
    except ValueError:
        stages = None
    if stages is None:
        lines = errors.decode(errors="replace").strip().splitlines()
        raise MorphstreamError(lines[-1] if lines else f"farm plan: expected exit 0, seen {process.returncode}")
    return {stage["stage"]: tuple(dict.fromkeys(stage["why"])) for stage in stages}
