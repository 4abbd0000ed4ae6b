"""A browser's frames come back swapped, the newest first, with what the page shows about them."""

import asyncio
import gc
import json
import threading
from collections.abc import Awaitable, Callable

import cv2
import numpy as np
import pytest

from morphstream.artifact.errors import VideoError
from morphstream.face.assign import like, wishes_of
from morphstream.frame import Frame
from morphstream.live.options import PageOptions
from morphstream.live.server import PageServer
from tests.live import SEEN, TOKEN, TRACK, MirroringWorker, PlayedInput, halves
from tests.live.browsing import Camera, Peer, until

pytestmark = pytest.mark.usefixtures("reset")
GREY = halves(50, 200)
NEAR = 12  # levels that an encoder may change
GREYS = [GREY] * 15  # of which the first may come before the other side listens


def connected(page: PageServer, check: Callable[[Peer, str], Awaitable[None]], camera: Camera | None) -> None:
    """Connect to a page, check something, and disconnect."""

    async def run() -> None:
        peer = Peer(page.port)
        session = await peer.open()
        await peer.connect(session, camera)
        try:
            await check(peer, session)
        finally:
            await peer.ask("DELETE", session)
            await peer.close()

    asyncio.run(run())


def level(frame: Frame, *, top: bool) -> int:
    middle = len(frame) // 2
    return round(float(np.median(frame[:middle] if top else frame[middle:])))


def test_a_frame_comes_back_swapped_though_no_other_follows_it(page: PageServer) -> None:
    async def check(peer: Peer, _: str) -> None:
        await until(lambda: peer.frames and abs(level(peer.frames[-1], top=True) - 30) < NEAR)
        assert abs(level(peer.frames[-1], top=False) - 90) < NEAR

    connected(page, check, Camera([*GREYS, halves(90, 30)]))


def test_frames_say_visibly_that_they_are_synthetic(worker: MirroringWorker) -> None:
    async def check(peer: Peer, _: str) -> None:
        await until(lambda: peer.frames)
        corner = cv2.absdiff(peer.frames[-1], GREY[::-1])[-24:, :80]
        assert corner.max() > 60

    with PageServer(worker, PageOptions(port=0, token=TOKEN)) as page:
        connected(page, check, Camera(GREYS))


def test_a_frame_may_have_another_size_than_the_one_before(page: PageServer) -> None:
    async def check(peer: Peer, _: str) -> None:
        await until(lambda: peer.frames and peer.frames[-1].shape == (90, 120, 3))
        assert peer.frames[0].shape == (120, 160, 3)

    connected(page, check, Camera(GREYS + [halves(60, 90, size_wh=(120, 90))] * 10))


def test_the_last_frame_is_repeated_while_no_other_comes(page: PageServer) -> None:
    async def check(peer: Peer, session: str) -> None:
        await until(lambda: peer.frames)
        assert (await peer.ask("PATCH", session, {"is_paused": True})).status == 200
        count = len(peer.frames)
        await until(lambda: len(peer.frames) > count + 1)
        await until(lambda: peer.messages and peer.messages[-1].get("state") == "paused")

    connected(page, check, Camera(GREYS))


def test_a_paused_stream_gets_no_frames(page: PageServer, worker: MirroringWorker) -> None:
    async def check(peer: Peer, session: str) -> None:
        await until(lambda: peer.frames)
        await peer.ask("PATCH", session, {"is_paused": True})
        await until(lambda: peer.messages and peer.messages[-1]["state"] == "paused")
        count = worker.stream.stats.pushed
        await asyncio.sleep(0.1)
        assert worker.stream.stats.pushed <= count + 1  # which had begun
        await peer.ask("PATCH", session, {"is_paused": False})
        await until(lambda: worker.stream.stats.pushed > count + 1)

    for camera in (Camera(GREYS * 9), None):
        connected(page, check, camera)


def test_the_last_frame_of_a_paused_stream_is_shown_to_a_browser_that_connects_again(page: PageServer) -> None:
    async def check(peer: Peer, session: str) -> None:
        await until(lambda: peer.frames)
        await peer.ask("PATCH", session, {"is_paused": True})
        again = Peer(page.port)
        await again.connect(session, None)
        await until(lambda: again.frames)
        await again.close()

    connected(page, check, None)


def test_the_status_says_how_the_stream_is(page: PageServer, worker: MirroringWorker) -> None:
    async def check(peer: Peer, session: str) -> None:
        await until(lambda: peer.messages and peer.messages[-1]["state"] == "live")
        await peer.ask("PATCH", session, {"swap_model": "other"})
        worker.stream.switches[0].become("opening")
        await until(lambda: peer.messages and peer.messages[-1]["switch"])
        face = {"track": TRACK, "box": [0.0, 0.0, 0.5, 0.5], "person": None}
        switch = {"model": "other", "state": "opening", "done_bytes": 0, "total_bytes": 0, "error": None}
        status = {"state": "live", "error": None, "fps": 25.0, "dropped": 3, "waiting": 1, "size": [160, 120]}
        times = {"latency_ms": {"p50": 40.0, "p95": 50.0}, "find_ms": 10.0, "draw_ms": 20.0, "host_ms": 5.0}
        rest = {"engine_ms": 25.0, "faces": [face], "swap_model": "mirror", "switch": switch}
        assert peer.messages[-1] == {**status, **times, **rest}

    connected(page, check, Camera(GREYS))


def test_a_question_on_the_channel_is_answered_and_nonsense_is_not(page: PageServer) -> None:
    async def check(peer: Peer, _: str) -> None:
        await until(lambda: peer.messages)
        for text in ("{", "[]", "7", '{"other": 1}', b"\0", json.dumps({"ping": 8})):
            peer.channel.send(text)
        await until(lambda: {"pong": 8} in peer.messages)
        assert sum("pong" in message for message in peer.messages) == 1

    connected(page, check, Camera(GREYS))


def test_a_broken_stream_says_why(page: PageServer, worker: MirroringWorker) -> None:
    async def check(peer: Peer, _: str) -> None:
        worker.stream.fail("frame 3: expected an engine, seen none")
        await until(lambda: peer.messages and peer.messages[-1]["state"] == "failed")
        assert peer.messages[-1]["error"] == "frame 3: expected an engine, seen none"

    connected(page, check, Camera(GREYS))


def test_the_input_of_the_program_comes_in_place_of_a_camera(page: PageServer, server_input: PlayedInput) -> None:
    async def check(peer: Peer, _: str) -> None:
        await until(lambda: peer.frames)
        assert abs(level(peer.frames[-1], top=True) - 200) < NEAR
        server_input.state = "reconnecting in 2 s: no answer"
        await until(lambda: peer.messages and peer.messages[-1]["state"] == "reconnecting in 2 s: no answer")

    connected(page, check, None)


def test_an_input_that_breaks_says_why(worker: MirroringWorker) -> None:
    server_input = PlayedInput(GREY, error=VideoError("camera: expected it, seen it gone; plug it in"))

    async def check(peer: Peer, _: str) -> None:
        await until(lambda: peer.messages and peer.messages[-1]["state"] == str(server_input.error))

    with PageServer(worker, PageOptions(port=0, token=TOKEN), server_input=server_input) as page:
        connected(page, check, None)


def test_an_input_is_read_only_while_a_page_shows_it(page: PageServer, server_input: PlayedInput) -> None:
    async def check(peer: Peer, session: str) -> None:
        await until(lambda: peer.frames)
        await peer.ask("DELETE", session)
        reads = server_input.reads
        await asyncio.sleep(0.1)
        assert server_input.reads <= reads + 2  # one that was begun, one that had begun to be given

    reads = server_input.reads
    connected(page, check, Camera(GREYS))
    assert server_input.reads <= reads + 2  # as above, of the page before
    connected(page, check, None)


def test_a_lost_connection_is_made_again_in_the_same_session(page: PageServer, worker: MirroringWorker) -> None:
    async def check(peer: Peer, session: str) -> None:
        await until(lambda: peer.frames)
        count, again = len(worker.streams), Peer(page.port)
        await again.connect(session, Camera([halves(90, 30)] * 15))
        await until(lambda: again.frames and abs(level(again.frames[-1], top=True) - 30) < NEAR)
        await again.close()
        assert len(worker.streams) == count

    connected(page, check, Camera(GREYS))


def test_a_face_is_chosen_by_who_it_is(page: PageServer, worker: MirroringWorker) -> None:
    async def check(peer: Peer, session: str) -> None:
        person = await peer.ask(
            "POST", f"{session}/people?name=alice&agreed=1", cv2.imencode(".png", GREY)[1].tobytes()
        )
        assert person.json == {"person": 1, "name": "alice", "note": ""}
        assert (await peer.ask("PATCH", session, {"faces": {str(TRACK): 1}})).status == 200
        assert [rules for _, rules in wishes_of(worker.stream.wanted)] == [[like(SEEN)]]
        await until(
            lambda: peer.messages and peer.messages[-1]["faces"] and peer.messages[-1]["faces"][0]["person"] == 1
        )
        assert (await peer.ask("PATCH", session, {"faces": {"8": 1}})).error.startswith("track 8: expected one")
        assert (await peer.ask("DELETE", f"{session}/people/1")).status == 200
        assert worker.stream.wanted == {}

    connected(page, check, None)


@pytest.mark.parametrize(
    ("sdp", "line"),
    {
        "empty": ("", "offer: expected"),
        "no SDP": ("hello", "offer: expected"),
        "cut off": ("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9", "offer: expected"),
        "without video": ("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", "offer: expected one with video"),
    }.values(),
    ids=["empty", "no SDP", "cut off", "without video"],
)
def test_an_offer_that_cant_be_answered_is_refused_in_a_line(page: PageServer, sdp: str, line: str) -> None:
    async def run() -> None:
        peer = Peer(page.port)
        session = await peer.open()
        answer = await peer.ask("POST", f"{session}/offer", {"sdp": sdp, "type": "offer", "input": "browser"})
        await peer.ask("DELETE", session)
        assert answer.status == 422
        assert answer.error.startswith(line)

    asyncio.run(run())


def test_nothing_is_left_when_browsers_vanish_at_any_moment() -> None:
    """One opens a page and nothing else, one is gone before its answer comes, one while frames flow."""

    async def run(port: int) -> None:
        await Peer(port).open()
        for is_waiting in (False, True):
            peer = Peer(port)
            session = await peer.open()
            if is_waiting:
                await peer.connect(session, Camera(GREYS))
                await until(lambda peer=peer: peer.frames)  # type: ignore[misc]
            else:
                await peer.offer(session, Camera(GREYS))
            await peer.close()

    worker, before = MirroringWorker(), set(threading.enumerate())
    with PageServer(worker, PageOptions(port=0, token=TOKEN)) as page:
        asyncio.run(run(page.port))
        assert [stream.has_ended for stream in worker.streams] == [False] * 3
    assert [stream.has_ended for stream in worker.streams] == [True] * 3
    gc.collect()  # a socket that is left would warn
    assert set(threading.enumerate()) <= before
