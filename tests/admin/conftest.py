"""A served admin page, and browsers that opened it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from stages.admin.access import Sessions
from stages.admin.server import AdminServer
from stages.workspace import Workspace
from tests.admin import new_admin, new_workspace
from tests.admin.browsing import Browser


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """Return the time, seconds."""
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """The clock of sessions."""
    return Clock()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace whose farm is a script."""
    return new_workspace(tmp_path / "workspace")


@pytest.fixture
def server(workspace: Workspace, clock: Clock) -> Iterator[AdminServer]:
    """Serve the workspace's page, which knows a token that no page may show."""
    admin = new_admin(workspace, hidden=["hf_secret"], sessions=Sessions(clock))
    with AdminServer(admin, port=0, names=["admin.test"]) as served:
        yield served


@pytest.fixture
def visit(server: AdminServer) -> Iterator[Callable[[], Browser]]:
    """Return what opens the page in a new browser, with a link of its own."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(Browser(server.url)).opened(server.new_link())


@pytest.fixture
def browser(visit: Callable[[], Browser]) -> Browser:
    """A browser that opened the page."""
    return visit()
