"""What would be published is shown first, and only that is published then."""

from stages.admin.server import AdminServer
from stages.workspace import Workspace
from tests.admin import commands, until, write_rebuild
from tests.admin.browsing import Browser

PLAN = "0123456789abcdef"
SHOWN = f"""
echo 'add               1,234 models/<b>.onnx'
echo 'keep                 10 README.md'
echo 'add 1 (1,234 bytes), keep 1 (10 bytes), delete 0 (0 bytes)'
echo 'dry run: nothing was changed at org/name@1234567; to publish this and nothing else: --plan {PLAN}'
"""


def is_ended(server: AdminServer) -> bool:
    return all(job.is_ended for job in server.admin.jobs.all())


def test_a_plan_is_shown_and_then_published(server: AdminServer, browser: Browser, workspace: Workspace) -> None:
    write_rebuild(workspace, SHOWN)
    assert browser.post("/publish/plan").status_code == 200
    until(lambda: is_ended(server))
    page = browser.get("/publish").text
    assert "<td>add</td><td>1,234</td><td><code>models/&lt;b&gt;.onnx</code></td>" in page
    assert "Publish 1 change<" in page
    assert browser.post("/publish/merge", {"plan": PLAN}).status_code == 200
    until(lambda: is_ended(server))
    assert commands(workspace) == [f"-m stages.publish all {what}" for what in ("--dry-run", f"--plan {PLAN}")]


def test_a_plan_that_was_not_shown_is_refused(browser: Browser, workspace: Workspace) -> None:
    answer = browser.post("/publish/merge", {"plan": PLAN})
    assert answer.status_code == 409
    assert "expected a plan that was shown, seen another" in answer.text
    assert commands(workspace) == []
