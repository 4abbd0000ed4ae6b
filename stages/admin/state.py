"""The state of a workspace as the page shows it: the newest that is known, at once, while it is looked at again."""

from collections.abc import Callable

from stages.admin.matrix import Matrix
from stages.workspace import Workspace


class State:
    """Remembers what was read of a workspace, and reads it again when that changed; for one event loop."""

    def __init__(self, workspace: Workspace, changed: Callable[[], None]) -> None:
        """Begin with nothing known.

        Args:
            workspace: What is read.
            changed: Is called when something else is known than before.
        """
        self._workspace, self._changed = workspace, changed

    @property
    def matrix(self) -> Matrix:
        """The newest that is known."""
        return Matrix(rows=(), columns=(), stale={}, is_checked=False)

    def look_again(self) -> None:
        """Have the workspace read again, though no file seems to have changed."""

    async def run(self) -> None:
        """Read the workspace, and again whenever it changes, until cancelled."""
