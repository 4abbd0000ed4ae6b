"""The program prints a link, serves until a signal, and refuses in a line what it can't do."""

import os
import signal
import subprocess
import sys

from stages.workspace import Workspace
from tests.admin.browsing import Browser
from tests.stages import ROOT, refusal


def test_it_prints_a_link_and_serves_until_a_signal(workspace: Workspace) -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "stages.admin", "--port", "0"],
        cwd=workspace.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with program:
        assert program.stdout is not None
        assert program.stderr is not None
        link = program.stdout.readline().strip()
        with Browser(link.partition("/login?secret=")[0]) as browser:
            browser.opened(link)
        program.send_signal(signal.SIGTERM)
        assert program.stderr.read() == "admin --port 0: terminated\n"
        assert program.wait() == 143


def test_a_folder_that_is_no_project_is_refused(workspace: Workspace) -> None:
    workspace.params.unlink()
    assert "params.yaml: expected" in refusal(workspace, "admin", "--port", "0")
