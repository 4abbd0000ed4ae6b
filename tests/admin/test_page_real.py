"""The admin page rebuilds real engines, and the docs have a picture of it."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from morphstream.media.read import read_picture
from stages.admin.admin import Admin
from stages.admin.server import AdminServer
from stages.report.pictures import webp
from stages.workspace import Workspace
from tests.stages import ROOT, needs_rtx
from tests.stages.test_report_page import CHROMIUM
from tests.test_farm import built, farm_all
from tests.test_pipeline import Clone, built_once

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs chromium")
SCREENSHOT = ROOT / "docs/images/admin.webp"
WAIT_MS = 120_000  # at most, on a machine that does much else


@pytest.fixture
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser: Browser, server: AdminServer) -> Page:
    page = browser.new_page(viewport={"width": 1360, "height": 900})
    page.set_default_timeout(WAIT_MS)
    page.goto(server.new_link())
    expect(page.locator("#matrix")).to_contain_text("Compared with params and locks", timeout=WAIT_MS)
    return page


@needs_rtx
def test_masks_are_recompiled_and_have_the_same_digests(
    chromium: Browser, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = Clone(tmp_path / "copy")
    shutil.copytree(built_once(tmp_path_factory, "farm", farm_all).folder, clone.folder, symlinks=True)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(clone.folder / "runtime"))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    before = built(clone)
    with AdminServer(Admin(clone.workspace), port=0) as server:
        page = opened(chromium, server)
        page.get_by_label("masks", exact=True).check()
        page.get_by_label("up-to-date ones too").check()
        page.get_by_role("button", name="Recompile", exact=True).click()
        expect(page.locator("#work .badge")).to_contain_text("done", timeout=WAIT_MS)
        expect(page.locator("#work .results")).to_contain_text("cpu/xseg_1: ", timeout=WAIT_MS)
        assert "(new)" not in page.locator("#work .results").inner_text()
        page.close()
    after = built(clone)
    engines = [name for name in before if name.startswith("engines/xseg_1/")]
    assert engines
    assert {name: after[name] for name in engines} == {name: before[name] for name in engines}


def test_the_docs_have_a_screenshot_of_the_page(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--write-screenshots"):
        with AdminServer(Admin(Workspace(ROOT)), port=0) as server:
            page = opened(request.getfixturevalue("chromium"), server)
            assert page.title() == "Models and targets: morphstream admin"
            page.get_by_label("fan_68_5 for cpu", exact=True).check()
            page.locator('td a[href="/cells/cpu/fan_68_5"]').click()
            expect(page.locator("#details")).to_contain_text("fan_68_5 for cpu")
            page.evaluate("scrollTo(0, 0)")
            shown = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
            SCREENSHOT.write_bytes(webp(np.asarray(shown, np.uint8), 1360, is_synthetic=False))
            page.close()
    assert read_picture(SCREENSHOT).pixels[0].shape == (900, 1360, 3)
