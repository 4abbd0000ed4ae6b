"""The report's page holds all that was found, needs no other file or host, and can be used by everyone."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, sync_playwright

from morphstream.artifact.digest import Digest
from morphstream.artifact.manifest import ModelEntry
from morphstream.face.look import Look
from morphstream.face.types import Face, Identity
from morphstream.media.inspect import inspect
from morphstream.media.read import read_picture
from morphstream.pipeline import SwapPipeline
from morphstream.store.store import Store
from stages.report.engine_times import EngineTime, engine_times
from stages.report.page import Found, Page, render, size_words
from stages.report.pictures import draw_masks, draw_pictures, webp
from stages.report.sizes import ArchiveSize, Sizes, TargetSize
from stages.report.swaps import Photo, Swap
from stages.summary import Records
from tests.stages import ROOT

CHROMIUM = Path("/usr/bin/chromium")
WIDTHS = {"light": 1280, "dark": 1280, "phone": 390}  # pixels
SCREENSHOT = ROOT / "docs/images/report.webp"
RECORDS: Records = {
    "det_10g": {"prepared": {"pixels": 0.1}, "cpu": {"executed": True, "pixels": 0.1}, "rtx-sm89": {"executed": False}},
    "<b>mine": {"prepared": {"psnr_db": 50}, "cpu": {"executed": True, "psnr_db": 40}, "rtx-sm89": {"executed": False}},
}
MEASURED: Found = {
    "det_10g": {
        "cpu": {"prepared": {"faces": {"pixels": 0.0123456789, "unseen": 3}}},
        "rtx-sm89": {"executed": False, "reason": "no GPU & no driver"},
    }
}
MODEL = ModelEntry(
    file="models/det_10g.onnx",
    digest=Digest("0" * 64, 1536),
    role="detector",
    worker="DirectSCRFD",
    group="core",
    delivery="baked",
    precision="fp16",
    licence="<script>alert(1)</script>",
)
SIZES = Sizes(
    models={"det_10g": MODEL},
    targets=[TargetSize("cpu", {"det_10g": 2 << 20}), TargetSize("rtx-sm89", {})],
    archives=[ArchiveSize(name="a.tar.zst", cache_key="", bytes=10, content_bytes=1024)],
    origins={"kit"},
)
BARE = Page(
    passed=[],
    faces_at_least=25,
    swaps=[],
    pictures=None,
    engine_times=[EngineTime(model="det_10g", open_ms=120.4, run_ms=3.14159)],
    sizes=SIZES,
    records=RECORDS,
    measured=MEASURED,
)


@pytest.fixture(scope="module")
def pipeline(booted: Store) -> Iterator[SwapPipeline]:
    with SwapPipeline(booted, look=Look(angles=())) as pipeline:
        yield pipeline


@pytest.fixture(scope="module")
def photo() -> Photo:
    """Two faces in noise."""
    random = np.random.default_rng(0)
    frame = random.integers(0, 256, (300, 600, 3)).astype(np.uint8)
    points = np.array([[38, 52], [62, 52], [50, 66], [40, 80], [60, 80]], float)
    faces = [
        Face(box_xyxy=np.array([left + 20, 110, left + 80, 180]), points5=np.add(points, (left, 80)), score=0.9)
        for left in (100.0, 350.0)
    ]
    numbers = random.standard_normal(512)
    who = Identity(embedding=(numbers / np.linalg.norm(numbers)).astype(np.float32))
    return Photo(source=frame, frame=frame, faces=faces, identity=who)


@pytest.fixture(scope="module")
def page(pipeline: SwapPipeline, photo: Photo) -> Page:
    swaps = [
        Swap(
            model=name,
            frame=255 - photo.frame,
            before=[-0.25, 0.1],
            after=[0.9, after],
            seconds=0.25,
            steps_ms={"find": 10.0, "swap": 240.0},
        )
        for name, after in (("inswapper_128", 0.55), ("hyperswap_1a_256", 0.61))
    ]
    pictures = draw_pictures(pipeline, photo, swaps, Look(angles=()))
    return replace(BARE, swaps=swaps, passed=["inswapper_128"], pictures=pictures)


class Read(HTMLParser):
    """What a page names, and its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.links, self.words = set[str](), list[str](), list[str]()
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(  # noqa: D102, as HTMLParser has it
        self, tag: str, attrs: list[tuple[str, str | None]]
    ) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if value and name in ("src", "href", "srcset", "action")]

    def handle_data(self, data: str) -> None:  # noqa: D102
        self.words.append(data)


def test_the_page_is_one_file_that_asks_no_host_and_has_no_script(page: Page) -> None:
    html = render(page)
    seen = Read(html)
    assert {link.partition(":")[0] for link in seen.links if not link.startswith("#")} == {"data"}
    assert not seen.tags & {"script", "link rel", "iframe", "object"}
    assert "url(" not in html
    anchors = {link[1:] for link in seen.links if link.startswith("#")}
    assert all(f'id="{anchor}"' in html for anchor in anchors)
    assert len(html) < 3 << 20


def test_the_page_has_every_figure_as_text(page: Page) -> None:
    text = Read(render(page)).text
    for words in (
        "-0.25 0.90 0.90",  # a face before, and after each model
        "0.10 0.55 0.61",
        "1 of 2, with the weakest swap model",
        "inswapper_128 250 10.0 240",
        "det_10g 3.1 120",
        "a.tar.zst models 1.0 KiB 10 bytes",
        "det_10g detector, core <script>alert(1)</script> 1.5 KiB 2.0 MiB none",
        "all 1.5 KiB 2.0 MiB 0 bytes",
        "det_10g cpu prepared faces pixels 0.012345679, unseen 3",
        "rtx-sm89 : 1 engine, no GPU & no driver",
        "rtx-sm89 : 1 engine, not checked on this machine",
    ):
        assert words in text


def test_without_a_swap_model_the_page_has_no_pictures() -> None:
    html = render(BARE)
    assert 'id="photo"' not in html
    assert 'id="parity"' in html
    assert "<b>mine" not in html


def test_pictures_of_swaps_are_marked_as_synthetic_and_others_are_not(page: Page, tmp_path: Path) -> None:
    assert page.pictures
    made = page.pictures
    synthetic = {"after.webp": made.after, "clip.gif": made.clip, "still.webp": made.still}
    synthetic |= {f"{name}.webp": strip for name, strip in made.strips.items()}
    real = {"before.webp": made.before, "masks.webp": made.masks, "strip.webp": made.strip_before}
    for name, data in (synthetic | real).items():
        (tmp_path / name).write_bytes(data)
        assert inspect(tmp_path / name).is_synthetic == (name in synthetic)


def test_the_clip_is_an_animation_without_end(page: Page, tmp_path: Path) -> None:
    assert page.pictures
    (tmp_path / "clip.gif").write_bytes(page.pictures.clip)
    picture = read_picture(tmp_path / "clip.gif")
    assert picture.is_animated
    assert picture.loops == 0
    assert picture.pixels[0].shape[1::-1] == page.pictures.clip_wh


def test_masks_are_painted_where_faces_are_and_nowhere_else(pipeline: SwapPipeline, photo: Photo) -> None:
    painted = (draw_masks(pipeline, photo, Look(occluder=None)) != photo.frame).any(axis=2)
    for left in (100, 350):
        assert painted[140:150, left + 45 : left + 55].all()
    assert not painted[:, :60].any()
    assert not painted[:, 250:300].any()


def test_a_picture_is_no_larger_than_asked_and_never_enlarged(tmp_path: Path) -> None:
    for side, expected in ((100, (50, 100)), (1000, (200, 400))):
        (tmp_path / "a.webp").write_bytes(webp(np.zeros((200, 400, 3), np.uint8), side, is_synthetic=False))
        assert read_picture(tmp_path / "a.webp").pixels[0].shape[:2] == expected


def test_every_engine_of_a_store_is_timed(booted: Store) -> None:
    found = {time.model: time for time in engine_times(booted.path)}
    assert {"det_10g", "inswapper_128", "xseg_1"} <= found.keys()
    assert all(time.run_ms > 0 and time.open_ms > 0 for time in found.values())


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")]
)
def test_sizes_are_told_in_the_unit_that_fits(count: int, words: str) -> None:
    assert size_words(count) == words


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("needs chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def test_nothing_serious_is_found_by_axe_and_nothing_is_wider_than_the_page(
    page: Page, browser: Browser, tmp_path: Path
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    (tmp_path / "index.html").write_text(render(page), "utf-8")
    for name, width in WIDTHS.items():
        seen = browser.new_page(
            color_scheme="dark" if name == "dark" else "light", viewport={"width": width, "height": 900}
        )
        seen.goto((tmp_path / "index.html").as_uri())
        assert seen.evaluate("document.documentElement.scrollWidth") == width
        found = [one for one in axe.run(seen).response["violations"] if one["impact"] in ("serious", "critical")]
        assert not found, [(one["id"], one["nodes"][0]["html"][:200]) for one in found]
        seen.close()


def test_the_photo_is_looked_at_by_keys_alone(page: Page, browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(render(page), "utf-8")
    seen = browser.new_page()
    seen.goto((tmp_path / "index.html").as_uri())
    assert seen.locator("img.see-after").is_visible()
    seen.locator("#see-after").focus()
    seen.keyboard.press("ArrowLeft")
    assert seen.locator("img.see-masks").is_visible()
    assert not seen.locator("img.see-after").is_visible()
    seen.locator("#see-boxes").focus()
    seen.keyboard.press("Space")
    assert not seen.locator("svg.see-boxes").is_visible()
    seen.close()


def test_the_docs_have_a_screenshot_of_the_page(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--write-screenshots"):
        seen = request.getfixturevalue("browser").new_page(viewport={"width": 1280, "height": 1600})
        seen.goto((ROOT / "build/report/index.html").as_uri())  # which `dvc repro` has written
        assert re.fullmatch("Report: .*", seen.title())
        shown = cv2.imdecode(np.frombuffer(seen.screenshot(), np.uint8), cv2.IMREAD_COLOR)
        SCREENSHOT.write_bytes(webp(np.asarray(shown, np.uint8), 1600, is_synthetic=True))
        seen.close()
    assert read_picture(SCREENSHOT).pixels[0].shape == (1600, 1280, 3)
    assert inspect(SCREENSHOT).is_synthetic
