"""The built site, in a browser: from a disk it searches, is dark where the reader's system is, and asks nobody."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.stages import ROOT
from website.__main__ import main

pytestmark = [
    pytest.mark.docs,
    pytest.mark.skipif(find_spec("zensical") is None, reason="needs zensical"),
    pytest.mark.skipif(which("chromium") is None, reason="needs chromium"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, whose every link is looked up then."""
    folder = tmp_path_factory.mktemp("built") / "site"
    command = [sys.executable, "-m", "website", "--output", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def asked(page: Page) -> list[str]:
    """Return the list of what the page asks for."""
    requests = list[str]()
    page.on("request", lambda request: requests.append(request.url))
    return requests


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a page of a reader whose system is dark."""
    page = browser.new_page(color_scheme="dark", viewport={"width": 390, "height": 844})
    yield page
    page.close()


def test_a_page_from_a_disk_searches_every_page_and_asks_no_host(site: Path, page: Page, asked: list[str]) -> None:
    page.goto((site / "index.html").as_uri())
    page.locator('label[for="__search"]').first.click()
    page.get_by_role("combobox", name="Search").fill("pixel boost")
    expect(page.get_by_role("option").filter(has_text="How it is drawn").first).to_be_visible(timeout=60_000)
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_a_page_is_dark_where_the_system_is_and_no_wider_than_a_phone(site: Path, page: Page) -> None:
    for name in ("index.html", "tutorial.html", "models/det_10g.html", "reference/morphstream.html", "videos.html"):
        page.goto((site / name).as_uri())
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert max(int(part) for part in colour.strip("rgb()").split(", ")) < 64, name
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name


def test_a_site_that_was_there_is_replaced_whole(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/old.html").touch()
    monkeypatch.setattr(sys, "argv", ["website", "--output", str(tmp_path / "site")])
    assert main() == 0
    assert {path.name for path in (tmp_path / "site").iterdir()} == {path.name for path in site.iterdir()}
