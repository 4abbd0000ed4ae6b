"""Only who has the token gets in, by the page's own name; only the page itself changes anything."""

import socket
import ssl
from contextlib import ExitStack, suppress
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from morphstream.artifact.errors import MorphstreamError
from morphstream.live.options import PageOptions
from morphstream.live.server import PageServer
from tests.live import TOKEN, MirroringWorker
from tests.live.browsing import Answer, ask
from tests.source.hub.proxying import certificate


def cookie_of(page: PageServer) -> str:
    """Return the cookie that the link sets."""
    return ask(page.port, "GET", f"/?token={TOKEN}", Host="localhost").headers["set-cookie"].partition(";")[0]


def test_the_link_sets_a_cookie_and_leads_to_an_address_without_the_token(page: PageServer) -> None:
    answer = ask(page.port, "GET", page.link.removeprefix(page.url), Host="localhost")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    rest = answer.headers["set-cookie"].lower().split("; ")[1:]
    assert {"httponly", "samesite=strict", "path=/"} == set(rest)
    assert ask(page.port, "GET", "/api/state", Cookie=cookie_of(page)).status == 200


@pytest.mark.parametrize(
    "path", ["/", "/?token=wrong-wrong-wrong-wrong", "/?token=", "/?token=%ff", "/api/state", "/no"]
)
def test_nobody_gets_in_without_the_token(page: PageServer, path: str) -> None:
    for headers in ({"Host": "localhost"}, {"Authorization": "Bearer no"}, {"Cookie": cookie_of(page)[:-1]}):
        answer = ask(page.port, "GET", path, **headers)
        assert answer.status == 401
        assert b"expected the token, seen none that is right" in answer.body
        assert b"\n" not in answer.body


@pytest.mark.parametrize("host", ["localhost:1", "LOCALHOST", "127.0.0.1", "192.0.2.7:80", "[::1]:80", "live.test:443"])
def test_a_request_may_be_for_an_address_or_a_name_of_the_page(page: PageServer, host: str) -> None:
    assert ask(page.port, "GET", "/api/state", Authorization=f"Bearer {TOKEN}", Host=host).status == 200


@pytest.mark.parametrize("host", ["other.test", "live.test.other.test", "localhost.other.test", "", "["])
def test_a_request_for_another_name_is_refused_even_with_the_token(page: PageServer, host: str) -> None:
    answer = ask(page.port, "GET", f"/api/state?token={TOKEN}", Authorization=f"Bearer {TOKEN}", Host=host)
    assert answer.status in (400, 421)


def test_a_change_comes_from_the_page_itself_or_from_a_program(page: PageServer) -> None:
    own, cookie = f"localhost:{page.port}", cookie_of(page)

    def change(**headers: str) -> Answer:
        return ask(page.port, "POST", "/api/sessions/none/alive", Host=own, **headers)

    for origin in ({}, {"Origin": "null"}, {"Origin": "http://other.test"}, {"Origin": "http://localhost"}):
        assert change(Cookie=cookie, **origin).status == 403
    assert change(Authorization=f"Bearer {TOKEN}", Origin="http://other.test").status == 403
    assert change(Cookie=cookie, Origin=f"http://{own}").status == 404
    assert change(Authorization=f"Bearer {TOKEN}").status == 404


def test_every_answer_forbids_other_scripts_frames_and_caches(page: PageServer) -> None:
    for answer in (ask(page.port, "GET", "/api/state"), ask(page.port, "GET", "/", Host="localhost")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; " in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_port_that_is_taken_is_refused_in_a_line(page: PageServer, worker: MirroringWorker) -> None:
    with pytest.raises(OSError, match=rf"^http://127\.0\.0\.1:{page.port}: expected a port to listen on, seen .*; use"):
        PageServer(worker, PageOptions(port=page.port))


def test_a_page_with_a_certificate_is_served_over_tls(worker: MirroringWorker, tmp_path: Path) -> None:
    options = PageOptions(port=0, token=TOKEN, certificate=certificate(tmp_path, host="localhost"))
    with PageServer(worker, options) as page:
        assert page.link == f"https://127.0.0.1:{page.port}/?token={TOKEN}"
        context = ssl.create_default_context(cafile=options.certificate)
        connection = HTTPSConnection("localhost", page.port, context=context, timeout=20)
        connection.request("GET", f"/?token={TOKEN}")
        with connection.getresponse() as answer:
            assert "Secure" in str(answer.headers["set-cookie"])
        connection.close()


def test_connections_that_say_nothing_make_room(page: PageServer) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", page.port))) for _ in range(70)]
        silent[0].settimeout(20)
        silent[-1].sendall(b"GET / HTTP/1.1\r\nHost: local")
        answer = ask(page.port, "GET", "/api/state")
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        with suppress(ConnectionResetError):
            assert silent[0].recv(1) == b""


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "no certificate"])
def test_a_certificate_that_cant_be_used_is_refused_in_a_line(
    worker: MirroringWorker, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "certificate.pem"
    if content:
        path.write_text(content)
    with pytest.raises(MorphstreamError, match=r"certificate\.pem: expected a certificate in PEM and its key, seen "):
        PageServer(worker, PageOptions(port=0, certificate=path))


def test_a_page_that_is_served_everywhere_is_opened_by_a_name_that_browsers_know(worker: MirroringWorker) -> None:
    with PageServer(worker, PageOptions(host="0.0.0.0", port=0, token=TOKEN)) as page:  # noqa: S104
        assert page.link == f"http://localhost:{page.port}/?token={TOKEN}"
        assert TOKEN not in repr(PageOptions(token=TOKEN))


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"port": 65536}, "expected a port"),
        ({"token": "short"}, "expected a token of 16 or more"),
        ({"token": "with spaces and/slashes"}, "expected a token"),
        ({"key": Path("key.pem")}, "expected a certificate for the key"),
        ({"most_sessions": 0}, "expected 1 session or more"),
        ({"size_wh": (640, 0)}, "expected a width and height"),
        ({"ice_servers": ["http://a.test"]}, "ICE server: expected stun:"),
        ({"ice_servers": ["turn:a.test"]}, "ICE server: expected stun:"),
    ],
    ids=lambda given: "-".join(given) if isinstance(given, dict) else "",
)
def test_options_check_themselves(wrong: dict[str, object], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        PageOptions(**wrong)  # type: ignore[arg-type]
