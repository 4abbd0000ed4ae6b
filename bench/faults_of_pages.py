"""Faults of the live page and of the browsers that open it; the browser is aiortc, or a socket."""

import asyncio
import http.client
import json
import multiprocessing
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fractions import Fraction
from multiprocessing.connection import Connection

from aiortc import RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from av import VideoFrame

from bench.faults import Fault, Place, frame, one_line
from morphstream.live.options import PageOptions
from morphstream.live.server import PageServer
from morphstream.live.sessions import SILENT_S

_JSON, _MOST_S = "application/json", 60.0


class Page:
    """A client of a page that is served, with its token."""

    def __init__(self, port: int, token: str) -> None:
        self.port, self.token = port, token

    def ask(
        self, method: str, path: str, body: object = None, *, kind: str = _JSON, **headers: str
    ) -> tuple[int, dict[str, object]]:
        """Send a request, and return the status and the object of its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_MOST_S)
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": kind} | headers
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            read = answer.read()
            return answer.status, json.loads(read) if read.startswith(b"{") else {"error": read.decode()}
        finally:
            connection.close()

    def session(self) -> str:
        """Open a session, and return its path."""
        status, answer = self.ask("POST", "/api/sessions")
        assert status == 200, answer
        return f"/api/sessions/{answer['id']}"

    def refused(self, status: int, method: str, path: str, body: object = None, **headers: str) -> str:
        """Send a request that must be refused, and return why."""
        seen, answer = self.ask(method, path, body, **headers)
        assert seen == status, f"expected {status}, seen {seen}: {answer}"
        return one_line(str(answer["error"]))


@contextmanager
def page(place: Place) -> Iterator[Page]:
    """Serve a page."""
    options = PageOptions(port=0)
    with PageServer(place.worker, options) as server:
        yield Page(server.port, options.token)
    assert not place.worker.streams, f"streams are left: {[one.name for one in place.worker.streams]}"


class Camera(VideoStreamTrack):
    """A browser's camera."""

    async def recv(self) -> VideoFrame:
        """Return the next picture."""
        pts, base = await self.next_timestamp()
        picture = VideoFrame.from_ndarray(frame(pts // 3000 % 50), format="bgr24")
        picture.pts, picture.time_base = pts, Fraction(base)
        return picture


async def _offer(peer: RTCPeerConnection) -> dict[str, object]:
    peer.addTrack(Camera())
    peer.createDataChannel("status")
    await peer.setLocalDescription(await peer.createOffer())
    return {"sdp": peer.localDescription.sdp, "type": "offer", "input": "browser"}


async def _connected(client: Page, session: str, peer: RTCPeerConnection) -> None:
    """Connect a browser, and wait for the first frame that comes back."""
    status, answer = await asyncio.to_thread(client.ask, "POST", f"{session}/offer", await _offer(peer))
    assert status == 200, answer
    await peer.setRemoteDescription(RTCSessionDescription(str(answer["sdp"]), "answer"))
    (receiver,) = peer.getReceivers()
    async with asyncio.timeout(_MOST_S):
        await receiver.track.recv()


def _with_peer(work: Callable[[RTCPeerConnection], Awaitable[str]]) -> str:
    async def do() -> str:
        peer = RTCPeerConnection()
        try:
            return await work(peer)
        finally:
            await peer.close()

    return asyncio.run(do())


def _a_wrong_token(place: Place) -> str:
    with page(place) as client:
        return client.refused(401, "GET", "/api/state", Authorization="Bearer wrong")


def _another_name_for_this_machine(place: Place) -> str:
    with page(place) as client:
        return client.refused(421, "GET", "/api/state", Host="evil.example")


def _a_request_of_another_site(place: Place) -> str:
    with page(place) as client:
        return client.refused(403, "POST", "/api/sessions", Origin="https://evil.example")


def _an_offer_that_is_no_sdp(place: Place) -> str:
    with page(place) as client:
        path = f"{client.session()}/offer"
        client.refused(422, "POST", path, {"sdp": "", "type": "answer"})
        return client.refused(422, "POST", path, {"sdp": "v=0\r\nm=video x", "type": "offer"})


def _a_body_that_is_no_json(place: Place) -> str:
    with page(place) as client:
        return client.refused(422, "PATCH", client.session(), b"{" * 1000)


def _a_picture_that_is_too_large(place: Place) -> str:
    with page(place) as client:
        path = f"{client.session()}/people?name=a&agreed=1"
        return client.refused(413, "POST", path, bytes(21_000_000))


def _pictures_of_nobody(place: Place) -> str:
    with page(place) as client:
        session = client.session()
        client.refused(403, "POST", f"{session}/people?name=a", (place.demo / "source.png").read_bytes())
        return client.refused(409, "POST", f"{session}/people?name=a&agreed=1", b"no picture")


def _a_model_that_nobody_knows(place: Place) -> str:
    with page(place) as client:
        session = client.session()

        async def work(peer: RTCPeerConnection) -> str:
            await _connected(client, session, peer)
            status, answer = await asyncio.to_thread(client.ask, "PATCH", session, {"swap_model": "none_256"})
            (receiver,) = peer.getReceivers()
            async with asyncio.timeout(_MOST_S):
                for _ in range(5):
                    await receiver.track.recv()
            return f"{status} {answer.get('error', 'said in the status')}; frames go on"

        return _with_peer(work)


def _a_browser_gone_before_the_answer(place: Place) -> str:
    with page(place) as client:
        session = client.session()

        async def work(peer: RTCPeerConnection) -> str:
            body = json.dumps(await _offer(peer))
            head = f"POST {session}/offer HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {client.token}\r\n"
            with socket.create_connection(("127.0.0.1", client.port)) as connection:
                connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            return "the server ends as ever"

        return _with_peer(work)


def _a_browser_that_never_connects(place: Place) -> str:
    with page(place) as client:
        session = client.session()

        async def work(peer: RTCPeerConnection) -> str:
            status, answer = await asyncio.to_thread(client.ask, "POST", f"{session}/offer", await _offer(peer))
            assert status == 200, answer
            return "answered"

        return _with_peer(work)


def _a_browser_that_is_killed(place: Place) -> str:
    with page(place) as client:
        here, there = multiprocessing.Pipe()
        browser = multiprocessing.get_context("spawn").Process(
            target=_browse, args=(client.port, client.token, client.session(), there)
        )
        browser.start()
        there.close()
        with here:
            assert here.recv(), "no frames came"
        browser.kill()
        browser.join()
        browser.close()
        begun = time.monotonic()
        while place.worker.streams and time.monotonic() - begun < 3 * SILENT_S:
            time.sleep(0.2)
        assert not place.worker.streams, "its stream is left"
        return f"its session ended after {time.monotonic() - begun:.0f} s"


def _browse(port: int, token: str, session: str, there: Connection) -> None:
    """Be a browser until the process is killed."""

    async def work(peer: RTCPeerConnection) -> str:
        await _connected(Page(port, token), session, peer)
        there.send("connected")
        await asyncio.sleep(_MOST_S)
        return "not killed"

    _with_peer(work)


def _a_second_offer_of_a_page(place: Place) -> str:
    with page(place) as client:
        session = client.session()

        async def twice(peer: RTCPeerConnection) -> str:
            await _connected(client, session, peer)
            again = RTCPeerConnection()
            try:
                await _connected(client, session, again)
            finally:
                await again.close()
            return "the second connection has frames"

        return _with_peer(twice)


def _twenty_pages_at_once(place: Place) -> str:
    with page(place) as client:
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: client.ask("POST", "/api/sessions"), range(20)))
        opened = [answer for status, answer in answers if status == 200]
        lines = {one_line(str(answer["error"])) for status, answer in answers if status == 503}
        assert len(opened) == 8, answers
        assert len(lines) == 1, lines
        assert client.ask("DELETE", f"/api/sessions/{opened[0]['id']}")[0] == 200
        return f"{len(opened)} open, the others: {lines.pop()}"


def _clients_that_send_half_a_request(place: Place) -> str:
    with page(place) as client:
        held = [socket.create_connection(("127.0.0.1", client.port)) for _ in range(20)]
        try:
            for connection in held:
                connection.sendall(b"POST /api/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n")
            begun = time.monotonic()
            assert client.ask("GET", "/api/state")[0] == 200
            return f"another is answered within {time.monotonic() - begun:.1f} s"
        finally:
            for connection in held:
                connection.close()


def _a_client_that_reads_nothing(place: Place) -> str:
    with page(place) as client, socket.create_connection(("127.0.0.1", client.port)) as slow:
        head = f"GET /page.js HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {client.token}\r\n\r\n"
        slow.sendall(head.encode() * 100)
        assert client.ask("GET", "/api/state")[0] == 200
        return "another is answered"


def _a_page_that_is_stopped_in_mid_stream(place: Place) -> str:
    async def work(peer: RTCPeerConnection) -> str:
        with page(place) as client:
            await _connected(client, await asyncio.to_thread(client.session), peer)
            begun = time.monotonic()
        return f"stopped within {time.monotonic() - begun:.1f} s"

    return _with_peer(work)


FAULTS: tuple[Fault, ...] = (
    _a_wrong_token,
    _another_name_for_this_machine,
    _a_request_of_another_site,
    _an_offer_that_is_no_sdp,
    _a_body_that_is_no_json,
    _a_picture_that_is_too_large,
    _pictures_of_nobody,
    _a_model_that_nobody_knows,
    _a_browser_gone_before_the_answer,
    _a_browser_that_never_connects,
    _a_browser_that_is_killed,
    _a_second_offer_of_a_page,
    _twenty_pages_at_once,
    _clients_that_send_half_a_request,
    _a_client_that_reads_nothing,
    _a_page_that_is_stopped_in_mid_stream,
)
