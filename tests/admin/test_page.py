"""The admin page in a browser: cells are selected and recompiled, people see each other, and everyone can use it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bench.admin_page import large_workspace
from stages.admin.server import AdminServer
from stages.workspace import Workspace
from tests.admin import TARGETS, commands, new_admin, until, write_engine, write_plan, write_rebuild
from tests.admin.conftest import Clock
from tests.admin.test_history import commit, git
from tests.admin.test_publication import SHOWN
from tests.stages.test_report_page import CHROMIUM, WIDTHS

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs chromium")
WAIT_MS = 30_000  # at most, on a machine that does much else
BUILT = """
printf '{"event": "start", "stage": "engines@xseg_1", "done": 0, "total": 2}\\n'
while ! test -e go; do sleep 0.05; done
printf new > build/engines/xseg_1/cpu/engine
python3 - <<'END'
import hashlib, json, pathlib
path = pathlib.Path("build/engines/xseg_1/cpu/manifest.json")
manifest = json.loads(path.read_text())
manifest["engine_files"]["engine"] |= {"sha256": hashlib.sha256(b"new").hexdigest(), "bytes": 3}
path.write_text(json.dumps(manifest))
END
printf '{"event": "done", "stage": "engines@xseg_1", "how": "run", "seconds": 1.5, "done": 1, "total": 2}\\n'
"""
CONNECTED = "typeof source === 'object' && source?.readyState === EventSource.OPEN"
NEW = "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437"  # sha256 of `new`


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def pages(chromium: Browser, workspace: Workspace, server: AdminServer) -> Iterator[list[Page]]:
    """Two people's pages, of a workspace with an engine that is built and one that is stale."""
    write_plan(workspace, engines__fan_68_5=["params: batches [1, 2] -> [1, 3]"])
    write_engine(workspace, "cpu", "xseg_1")
    write_engine(workspace, "cpu", "fan_68_5")
    opened, errors = [], list[str]()
    for _ in range(2):
        page = chromium.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda one: errors.append(one.text) if "Content Security" in one.text else None)
        page.goto(server.new_link())
        expect(page.locator("#matrix")).to_contain_text("Compared with params and locks")
        expect(page.locator('td.stale a[href="/cells/cpu/fan_68_5"]')).to_be_visible()
        opened.append(page)
    yield opened
    for page in opened:
        page.context.close()
    assert errors == []


def test_a_group_is_recompiled_and_both_people_see_progress_and_the_new_digests(
    pages: list[Page], workspace: Workspace
) -> None:
    write_rebuild(workspace, BUILT)
    mine, other = pages
    mine.get_by_label("masks", exact=True).check()
    expect(mine.locator("#chosen")).to_have_text("4 selected")
    mine.get_by_label("up-to-date ones too").check()
    mine.get_by_role("button", name="Recompile", exact=True).click()
    for page in pages:
        expect(page.locator("#work .badge.running")).to_contain_text("running")
        expect(page.locator("#work progress")).to_have_attribute("max", "2")
        expect(page.locator("#work")).to_contain_text("engines@xseg_1: started")
        expect(page.locator('td a[href="/cells/cpu/xseg_1"]')).to_contain_text("job 1")
    (workspace.root / "go").touch()
    for page in pages:
        expect(page.locator("#work .badge")).to_contain_text("done")
        expect(page.locator("#work")).to_contain_text(f"sha256 {NEW} (new)")
        expect(page.locator('td a[href="/cells/cpu/xseg_1"]')).not_to_contain_text("job")
    assert [line for line in commands(workspace) if "--force" in line and "--engine cpu/xseg_1" in line]
    expect(mine.locator("#chosen")).to_have_text("4 selected")
    mine.locator('td a[href="/cells/cpu/xseg_1"]').click()
    expect(mine.locator("#details")).to_contain_text(NEW)
    assert other.locator("#details").inner_text() == ""


def test_a_build_that_fails_shows_its_line_and_is_started_again_by_a_button(
    pages: list[Page], workspace: Workspace
) -> None:
    write_rebuild(workspace, "echo 'farm rebuild: expected OpenVINO 2026.4, seen none' >&2; exit 1")
    page = pages[0]
    page.get_by_label("xseg_1 for cpu", exact=True).check()
    page.get_by_role("button", name="Recompile", exact=True).click()
    expect(page.locator("#work [role=alert]")).to_have_text("farm rebuild: expected OpenVINO 2026.4, seen none")
    write_rebuild(workspace, "exec sleep 300")
    page.get_by_role("button", name=re.compile("^Retry")).click()
    page.get_by_role("button", name=re.compile("^Cancel")).click()
    expect(page.locator("#work .badge").first).to_contain_text("cancelled")


def test_the_matrix_is_used_by_keys_alone(pages: list[Page]) -> None:
    page = pages[0]
    page.get_by_label("fan_68_5 for cpu", exact=True).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("xseg_1 for rtx-sm89", exact=True)).to_be_focused()
    page.keyboard.press("Space")
    expect(page.locator("#chosen")).to_have_text("1 selected")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="xseg_1 for rtx-sm89")).to_be_visible()
    page.keyboard.press("r")
    expect(page.locator("#work .badge")).to_contain_text("done")
    page.keyboard.press("Escape")
    expect(page.locator("#chosen")).to_have_text("nothing selected")


def test_nothing_selected_an_expired_session_and_a_wrong_link_are_refused_in_a_line(
    pages: list[Page], server: AdminServer, clock: Clock
) -> None:
    page = pages[0]
    page.get_by_role("button", name="Recompile", exact=True).click()
    expect(page.locator("#refusal [role=alert]")).to_contain_text("select some")
    answer = pages[1].goto(f"{server.url}/login?secret=guessed")
    assert answer
    assert answer.status in (401, 403)
    expect(pages[1].get_by_role("alert")).to_be_visible()
    clock.now_s += 13 * 3600
    page.get_by_role("button", name="Recompile", exact=True).click()
    expect(page.locator("#refusal [role=alert]")).to_contain_text("link")


def serious(page: Page) -> list[tuple[str, str]]:
    """Return what axe finds that keeps people from using a page: the rule, and the first element."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    found = [one for one in axe.run(page).response["violations"] if one["impact"] in ("serious", "critical")]
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in found]


def test_nothing_serious_is_found_by_axe_and_nothing_is_wider_than_the_page(
    pages: list[Page], workspace: Workspace
) -> None:
    write_rebuild(workspace, "echo 'farm rebuild: expected OpenVINO 2026.4, seen none' >&2; exit 1")
    page = pages[0]
    page.get_by_label("cpu", exact=True).check()
    page.get_by_role("button", name="Recompile", exact=True).click()
    expect(page.locator("#work [role=alert]")).to_be_visible()
    page.locator('td a[href="/cells/cpu/fan_68_5"]').click()
    expect(page.locator("#details")).to_contain_text("batches [1, 2] -> [1, 3]")
    for name, width in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if name == "dark" else "light")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert serious(page) == []
    assert len(TARGETS) == page.locator("#matrix tr", has_text="fan_68_5").locator("td").count()


def test_nothing_serious_is_found_by_axe_on_the_other_pages(pages: list[Page], workspace: Workspace) -> None:
    git(workspace, "init", "--quiet")
    commit(workspace, "Begin", {"mine": "1" * 64}, {"11_mine.bin": "1"})
    write_rebuild(workspace, SHOWN)
    page = pages[0]
    page.goto(page.url + "publish")
    page.get_by_role("button", name="Compare with the Hub").click()
    expect(page.get_by_role("button", name="Publish 1 change", exact=True)).to_be_visible()
    for link in (None, "Deploy", "Add a model", "History", "Workers", "Jobs"):
        if link:
            page.set_viewport_size({"width": WIDTHS["light"], "height": 900})
            page.get_by_role("link", name=link, exact=True).click()
            expect(page.get_by_role("link", name=link, exact=True)).to_have_attribute("aria-current", "page")
        for name, width in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme="dark" if name == "dark" else "light")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, link
            assert serious(page) == [], link


def test_what_is_selected_waits_while_other_pages_are_looked_at(pages: list[Page]) -> None:
    page = pages[0]
    page.get_by_label("masks", exact=True).check()
    page.get_by_role("link", name="Jobs").click()
    expect(page).to_have_title("Jobs: morphstream admin")
    page.get_by_role("link", name="Models and targets").click()
    expect(page.locator("#chosen")).to_have_text("4 selected")


def test_a_log_stays_at_its_end_and_a_button_keeps_the_focus(pages: list[Page], workspace: Workspace) -> None:
    started = """printf '{"event": "start", "stage": "engines@xseg_1", "done": %d, "total": 9}\\n'"""
    lines = "for i in $(seq 60); do echo line $i; done"
    write_rebuild(workspace, f"{lines}; until test -e go; do sleep 0.05; done; {started} 3; echo last; exec sleep 300")
    page = pages[0]
    page.get_by_label("xseg_1 for cpu", exact=True).check()
    page.get_by_role("button", name="Recompile", exact=True).click()
    expect(page.locator("#work pre")).to_contain_text("line 60")
    until(lambda: page.evaluate("isAtEnd(document.querySelector('#work pre'))"))
    page.get_by_role("button", name=re.compile("^Cancel")).focus()
    (workspace.root / "go").touch()
    expect(page.locator("#work progress")).to_have_attribute("value", "3")
    expect(page.locator("#work pre")).to_contain_text("last")
    until(lambda: page.evaluate("isAtEnd(document.querySelector('#work pre'))"))
    expect(page.get_by_role("button", name=re.compile("^Cancel"))).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#work .badge")).to_contain_text("cancelled")


def test_twenty_models_and_eight_targets_have_their_room(chromium: Browser, tmp_path: Path) -> None:
    with AdminServer(new_admin(large_workspace(tmp_path / "large")), port=0) as server:
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.goto(server.new_link())
        page.get_by_label("cpu", exact=True).check()
        last = page.locator("#matrix tr:has(td)").last.locator("td input").last
        for width, count in ((1280, 21), (700, 20), (390, 21)):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate("(one => one.scrollWidth <= one.clientWidth)(document.querySelector('#rebuild'))")
            last.click()
            expect(page.locator("#chosen")).to_have_text(f"{count} selected")
        page.close()


def test_a_tab_that_nobody_sees_keeps_no_connection(chromium: Browser, server: AdminServer) -> None:
    page = chromium.new_page()
    page.clock.install()
    page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => window.isUnseen ?? false })")
    page.goto(server.new_link())
    expect(page.locator("#matrix")).to_be_visible()  # after the link's own page
    until(lambda: page.evaluate(CONNECTED))
    page.evaluate("window.isUnseen = true")
    page.clock.run_for(60_000)
    assert page.evaluate("source.readyState === EventSource.CLOSED")
    with page.expect_navigation():
        page.evaluate("window.isUnseen = false; document.dispatchEvent(new Event('visibilitychange'))")
    until(lambda: page.evaluate(CONNECTED))
    page.close()
