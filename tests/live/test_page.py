"""A live page in a browser with a camera: chosen, swapped and shown, by mouse and by keyboard, lost and found again."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from bench.clips import clip
from bench.live_camera import (
    CHROMIUM,
    SIZE,
    choose,
    open_browser,
    open_page,
    shown,
    source_picture,
    start,
    write_camera,
)
from morphstream.artifact.vocabulary import SWAP_MODEL
from morphstream.live.choices import Person
from morphstream.live.options import PageOptions
from morphstream.live.server import PageServer
from morphstream.pipeline import SwapPipeline
from morphstream.store.store import Store
from morphstream.worker.worker import SwapWorker
from tests.live import SEEN, MirroringWorker, PlayedInput

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs chromium")
COUNT, OTHER_MODEL = 30, "hyperswap_1a_256"
WAIT_MS = 20_000  # at most, on a machine that does much else


@pytest.fixture(scope="module")
def pipeline(booted: Store) -> Iterator[SwapPipeline]:
    with SwapPipeline(booted) as pipeline:
        yield pipeline


@pytest.fixture(scope="module")
def swapper(pipeline: SwapPipeline) -> Iterator[SwapWorker]:
    """The worker of the page that is open all the time; `worker` is of the other files."""
    with SwapWorker(pipeline) as swapper:
        yield swapper


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    camera = tmp_path_factory.mktemp("camera") / "camera.y4m"
    write_camera(camera, clip("still", SIZE), COUNT, rate=10)  # few frames, as others compute at the same time
    expect.set_options(timeout=WAIT_MS)
    with open_browser(camera) as browser:
        yield browser


@pytest.fixture(scope="module")
def server(swapper: SwapWorker) -> Iterator[PageServer]:
    with served(swapper, PageOptions(port=0)) as server:
        yield server


@pytest.fixture(scope="module")
def live(browser: Browser, server: PageServer) -> Iterator[Page]:
    """A page that shows the camera with everyone as Alice."""
    page, errors = open_page(browser, server.link), list[str]()
    page.on("pageerror", lambda error: errors.append(str(error)))
    start(page, COUNT)
    choose(page, source_picture())
    expect(face(page)).to_be_visible()
    yield page
    page.close()
    assert errors == []


def served(worker: SwapWorker, options: PageOptions) -> PageServer:
    return PageServer(worker, options, swap_models=lambda: dict.fromkeys((SWAP_MODEL, OTHER_MODEL), True))


def face(page: Page, name: str = "alice") -> Locator:
    return page.get_by_role("button", name=f": {name}.").first


def goes_on(page: Page) -> bool:
    """Return whether new frames are shown, however slow the machine is."""
    return any(shown(page, 0.5).gaps for _ in range(40))


def test_the_faces_on_the_page_are_the_source_s(live: Page, swapper: SwapWorker) -> None:
    [(number, frame)] = next(kept for _ in range(40) if (kept := shown(live, 0.2, kept=1).kept))
    assert frame.shape == (480, 640, 3)
    identify = swapper.pipeline.identify
    source = cv2.imdecode(np.frombuffer(source_picture(), np.uint8), cv2.IMREAD_COLOR)
    alice, before = identify(np.asarray(source, np.uint8)), identify(clip("still", SIZE).frame(number))
    assert identify(frame).similarity(alice) > 0.5 > before.similarity(alice) + 0.3


def test_the_model_is_switched_while_the_stream_goes_on(live: Page) -> None:
    live.get_by_role("combobox", name="Swap model").select_option(OTHER_MODEL)
    expect(live.locator("#switch-text")).to_have_text(f"{OTHER_MODEL} is in use")
    assert goes_on(live)
    expect(live.get_by_role("alert")).to_have_text("")


def test_a_face_is_chosen_by_keyboard(live: Page) -> None:
    live.get_by_label("nobody; only the faces that I click").check()
    face(live, "as it is").focus()
    live.keyboard.press("Enter")
    expect(live.get_by_role("dialog", name="becomes")).to_be_visible()
    expect(live.get_by_role("dialog").get_by_role("button", name="alice")).to_be_focused()
    live.keyboard.press("Enter")
    expect(face(live)).to_be_focused()
    live.get_by_label("alice", exact=True).check()


def test_a_stream_is_paused_and_goes_on(live: Page) -> None:
    live.get_by_role("button", name="Pause").click()
    expect(live.locator("#state")).to_have_text("paused")
    live.get_by_role("button", name="Resume").click()
    expect(live.locator("#state")).to_have_text("live")


def test_a_phone_shows_all_of_it_and_nothing_moves_with_a_message(live: Page) -> None:
    live.set_viewport_size({"width": 360, "height": 740})
    live.evaluate("() => document.querySelector('#people .grow').append('n'.repeat(80))")
    assert live.evaluate("() => document.scrollingElement.scrollWidth") <= 360
    before = live.locator("#numbers").bounding_box()
    live.evaluate("() => document.querySelector('#message').replaceChildren('look: expected another, seen this')")
    assert live.locator("#numbers").bounding_box() == before
    live.set_viewport_size({"width": 1280, "height": 860})


def test_a_second_page_has_a_stream_of_its_own_until_it_is_closed(
    live: Page, browser: Browser, server: PageServer, swapper: SwapWorker
) -> None:
    page = open_page(browser, server.link)
    start(page, COUNT)
    assert goes_on(page)
    assert len(swapper.streams) == 2
    page.close(run_before_unload=True)
    for _ in range(400):
        if len(swapper.streams) == 1:
            break
        live.wait_for_timeout(50)
    assert len(swapper.streams) == 1
    assert goes_on(live)


def test_a_page_goes_on_by_itself_when_its_server_comes_back(browser: Browser, pipeline: SwapPipeline) -> None:
    with SwapWorker(pipeline) as worker, served(worker, PageOptions(port=0)) as first:
        options = PageOptions(port=first.port, token=first.link.partition("=")[2])
        page = open_page(browser, first.link)
        start(page, COUNT)
        choose(page, source_picture(), "bob")
        expect(face(page, "bob")).to_be_visible()
    expect(page.locator("#state")).to_contain_text("connection lost")
    with SwapWorker(pipeline) as worker, served(worker, options):
        expect(page.locator("#state")).to_have_text("live")
        expect(face(page, "bob")).to_be_visible()
        assert goes_on(page)
        page.close()


def test_a_page_begins_with_the_server_s_own_input(browser: Browser, pipeline: SwapPipeline) -> None:
    played = PlayedInput(clip("still", SIZE).frame(0))
    with SwapWorker(pipeline) as worker, PageServer(worker, PageOptions(port=0), server_input=played) as server:
        page = open_page(browser, server.link)
        expect(page.get_by_role("combobox", name="Picture from")).to_have_value("server")
        expect(page.get_by_text("The camera is off")).to_be_hidden()
        page.click("#start")
        expect(page.locator("#state")).to_have_text("live")
        expect(face(page, "as it is")).to_be_visible()
        page.close()


def test_a_stream_that_broke_is_begun_again_with_the_people_of_the_command_line(browser: Browser) -> None:
    worker, errors = MirroringWorker(), list[str]()
    with PageServer(worker, PageOptions(port=0), people=[Person("carol", SEEN)]) as server:
        page = open_page(browser, server.link)
        page.on("pageerror", lambda error: errors.append(str(error)))
        expect(page.get_by_label("carol", exact=True)).to_be_checked()
        page.click("#start")
        expect(face(page, "carol")).to_be_visible()
        worker.stream.fail("frame 3: expected an engine, seen none")
        expect(page.get_by_role("alert")).to_have_text("frame 3: expected an engine, seen none")
        page.get_by_role("button", name="Start").click()
        expect(face(page, "carol")).to_be_visible()
        assert (len(worker.streams), errors) == (2, [])
        page.close()


def test_a_picture_needs_an_agreement_and_a_face(browser: Browser, server: PageServer) -> None:
    page = open_page(browser, server.link)
    expect(page.locator("#file")).to_be_disabled()
    expect(page.get_by_role("button", name="Use camera")).to_be_disabled()
    page.get_by_label("has agreed").check()
    grey = bytes(cv2.imencode(".png", np.full((64, 64, 3), 127, np.uint8))[1])
    page.set_input_files("#file", {"name": "wall.png", "mimeType": "image/png", "buffer": grey})
    expect(page.get_by_role("alert")).to_contain_text("expected a face to identify, seen none")
    page.set_input_files("#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"hello"})
    expect(page.get_by_role("alert")).to_contain_text("picture: ")
    page.close()


def test_a_wrong_token_opens_nothing(browser: Browser, server: PageServer) -> None:
    page = browser.new_page()
    answer = page.goto(f"{server.url}/?token=guessed-by-somebody")
    assert answer
    assert answer.status == 401
    assert "open the link" in page.locator("body").inner_text()
    page.close()
