"""What tags hold is listed, and code is deployed or a tag goes back, by the command that publishes."""

import html

import pytest

from stages.admin.server import AdminServer
from stages.workspace import Workspace
from tests.admin import commands, until, write_rebuild
from tests.admin.browsing import Browser

NEW, OLD = "a" * 40, "b" * 40
LISTED = f"""
echo 'develop {NEW} 2026-12-01 1,234 bytes, 0123456789abcdef: Publish <deploy>: 3 added'
echo 'develop {OLD} 2026-11-30 1,230 bytes, fedcba9876543210: Publish deploy: 3 added'
"""


def is_ended(server: AdminServer) -> bool:
    return all(job.is_ended for job in server.admin.jobs.all())


def test_a_tag_goes_back_to_a_commit_that_was_listed(
    server: AdminServer, browser: Browser, workspace: Workspace
) -> None:
    write_rebuild(workspace, LISTED)
    assert browser.post("/deploy/look").status_code == 200
    until(lambda: is_ended(server))
    page = browser.get("/deploy").text
    assert "Publish &lt;deploy&gt;: 3 added" in page
    assert f'value="{OLD}"' in page
    assert f'value="{NEW}"' not in page  # it is held now
    assert browser.post("/deploy/roll-back", {"tag": "develop", "commit": OLD}).status_code == 200
    assert browser.post("/deploy", {"tag": "latest", "code": "--dry-run"}).status_code == 200
    until(lambda: is_ended(server))
    start = "-m stages.publish deploy"
    listing = f"{start} --history --tag develop --tag latest"
    back, code = f"{start} --tag=develop --back-to={OLD}", f"{start} --tag=latest --code=--dry-run"
    assert commands(workspace) == [listing, back, code]
    assert "What the tags hold now was not looked at yet" in browser.get("/deploy").text


def test_another_tag_no_folder_and_no_commit_are_refused(browser: Browser, workspace: Workspace) -> None:
    for path, fields, words in (
        ("/deploy", {"tag": "staging", "code": "."}, "expected a tag of develop, latest"),
        ("/deploy", {"tag": "develop"}, "expected a folder of code"),
        ("/deploy/roll-back", {"tag": "develop", "commit": "--force"}, "expected a commit&#39;s 40 digits"),
    ):
        answer = browser.post(path, fields)
        assert (answer.status_code, words in answer.text) == (409, True), answer.text
    assert commands(workspace) == []


@pytest.mark.parametrize("code", ["a\0b", "a\nb"], ids=["a null", "two lines"])
def test_letters_that_no_process_could_get_are_refused_and_the_page_goes_on(
    browser: Browser, workspace: Workspace, code: str
) -> None:
    answer = browser.post("/deploy", {"tag": "develop", "code": code})
    assert answer.status_code == 409
    assert f"expected letters that can be printed, seen {f'--code={code}'!r}" in html.unescape(answer.text)
    assert browser.get("/deploy").status_code == 200
    assert commands(workspace) == []
