"""Real clients get true answers over real HTTP, and no client keeps another from them."""

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPResponse

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from morphstream.health.metrics import Metrics
from morphstream.health.probe import NotReadyError, probe
from morphstream.health.server import MOST_BYTES, MOST_CLIENTS, HealthServer
from tests.health import number, read_text


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@pytest.fixture
def server(metrics: Metrics) -> Iterator[HealthServer]:
    """A server that gives each client a minute: whoever waits for another fails by time."""
    with HealthServer(metrics, port=0, timeout_s=60) as server:
        yield server


def ask(server: HealthServer, path: str, method: str = "GET", body: bytes | None = None) -> tuple[HTTPResponse, str]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response, response.read().decode()
    finally:
        connection.close()


def answer_to(server: HealthServer, request: bytes) -> bytes:
    """Return all that the server answers to bytes."""
    with connect(server) as client:
        client.sendall(request)
        return client.makefile("rb").read()


def connect(server: HealthServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def test_it_is_alive_all_the_time_and_ready_only_while_it_is(server: HealthServer, metrics: Metrics) -> None:
    def seen() -> tuple[int, int, str, float]:
        ready, text = ask(server, "/readyz")
        return ask(server, "/livez")[0].status, ready.status, text, number(ask(server, "/metrics")[1], "ready")

    assert seen() == (200, 503, "nothing is open yet\n", 0)
    metrics.set_ready()
    assert seen() == (200, 200, "ready\n", 1)
    metrics.set_unready("the process\nis ending")
    assert seen() == (200, 503, "the process is ending\n", 0)


def test_metrics_say_which_format_they_have(server: HealthServer) -> None:
    response, text = ask(server, "/metrics?name=all")
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.headers["Connection"] == "close"
    assert response.headers["Cache-Control"] == "no-store"
    assert len(read_text(text)) == 8


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/none"])
def test_head_says_what_get_would_and_sends_no_body(server: HealthServer, path: str) -> None:
    got, text = ask(server, path)
    answer = answer_to(server, f"HEAD {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
    assert answer.endswith(b"\r\n\r\n")
    assert answer.startswith(f"HTTP/1.1 {got.status} ".encode())
    assert f"\r\nContent-Length: {len(text)}\r\n".encode() in answer


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        pytest.param("GET", "/", 404, id="no page"),
        pytest.param("GET", "/livez/", 404, id="a longer path"),
        pytest.param("GET", "/../etc/passwd", 404, id="a file"),
        pytest.param("POST", "/none", 404, id="a post to nothing"),
        pytest.param("POST", "/livez", 405, id="a post"),
        pytest.param("DELETE", "/metrics", 405, id="a delete"),
        pytest.param("get", "/readyz", 501, id="a method in small letters"),
    ],
)
def test_nothing_else_is_served(server: HealthServer, method: str, path: str, expected: int) -> None:
    response, _ = ask(server, path, method)
    assert response.status == expected
    assert response.headers["Connection"] == "close"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param(b"GET\r\n\r\n", b"400", id="no path"),
        pytest.param(b"POST /livez\r\n\r\n", b"400", id="no version"),
        pytest.param(b"GET /livez HTTP/x\r\n\r\n", b"400", id="a version that is none"),
        pytest.param(b"GET /livez HTTP/2.0\r\n\r\n", b"505", id="another version"),
        pytest.param(b"GET /a path HTTP/1.1\r\n\r\n", b"400", id="a space too many"),
        pytest.param(b"\x16\x03\x01\x02\x00\xff\xfe\r\n\r\n", b"400", id="no text"),
        pytest.param(b"GET /livez HTTP/1.1\r\nX: " + b"x" * MOST_BYTES + b"\r\n\r\n", b"431", id="a long header"),
        pytest.param(b"GET /livez HTTP/1.1\r\n" + b"X: x\r\n" * 2000 + b"\r\n", b"431", id="many headers"),
        pytest.param(b"x" * 5 * MOST_BYTES, b"431", id="a line without end"),
        pytest.param(b"x" * (MOST_BYTES + 1), b"431", id="a line without end, and then nothing"),
        pytest.param(b"GET /livez HTTP/1.0\r\n\r\n", b"200", id="an old client"),
    ],
)
def test_what_is_no_request_is_refused(server: HealthServer, request_: bytes, expected: bytes) -> None:
    answer = answer_to(server, request_)
    assert answer.startswith(b"HTTP/1.1 " + expected + b" ")
    assert ask(server, "/livez")[0].status == 200


def test_a_body_that_nobody_wants_does_not_lose_the_answer(server: HealthServer) -> None:
    assert ask(server, "/readyz", "PUT", b"x" * 50_000)[0].status == 405


def test_an_empty_request_ends_the_connection(server: HealthServer) -> None:
    assert answer_to(server, b"\r\n\r\n") == b""
    assert ask(server, "/livez")[0].status == 200


def test_many_scrape_at_once_while_frames_are_counted(server: HealthServer, metrics: Metrics) -> None:
    ended = threading.Event()

    def count() -> None:
        while not ended.wait(0.001):
            metrics.count_frame(0.02, faces=2)

    def scrape(_: int) -> float:
        text = ask(server, "/metrics")[1]
        assert number(text, "faces_total") == 2 * number(text, "frame_seconds_count")
        return number(text, "frames_total")

    counting = threading.Thread(target=count)
    counting.start()
    try:
        with ThreadPoolExecutor(16) as pool:
            seen = list(pool.map(scrape, range(100)))
    finally:
        ended.set()
        counting.join()
    assert len(seen) == 100
    assert number(metrics.text(), "frames_total") >= max(seen)


def test_slow_clients_keep_nobody_waiting_and_the_oldest_makes_room(server: HealthServer) -> None:
    slow = [connect(server) for _ in range(MOST_CLIENTS + 10)]
    try:
        for client in slow:
            client.sendall(b"GET /livez HTTP/1.1\r\nX: ")
        assert ask(server, "/readyz")[0].status == 503
        assert_closed(slow[0])
        slow[-1].sendall(b"done\r\n\r\n")
        assert slow[-1].recv(12) == b"HTTP/1.1 200"
    finally:
        for client in slow:
            client.close()


def test_a_slow_client_is_disconnected_however_busy_it_looks(metrics: Metrics) -> None:
    with HealthServer(metrics, port=0, timeout_s=0.3) as server:
        with connect(server) as silent, connect(server) as answered, connect(server) as dripping:
            answered.sendall(b"GET /livez HTTP/1.1\r\n\r\n")  # and never closes
            with pytest.raises(ConnectionError):
                drip(dripping)
            assert_closed(silent)
            assert answered.makefile("rb").read().startswith(b"HTTP/1.1 200 ")
        assert ask(server, "/livez")[0].status == 200


def drip(client: socket.socket) -> None:
    while True:
        client.sendall(b"x")
        threading.Event().wait(0.05)


def assert_closed(client: socket.socket) -> None:
    with contextlib.suppress(ConnectionResetError):
        assert client.recv(1) == b""


def test_clients_that_reset_their_connections_are_not_reported(
    server: HealthServer, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(100):
        with connect(server) as client:
            client.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
            client.recv(1)  # closed with an answer that isn't read, it is reset
    assert ask(server, "/livez")[0].status == 200
    assert capfd.readouterr() == ("", "")


def test_closing_disconnects_everybody_ends_all_threads_and_frees_the_port(metrics: Metrics) -> None:
    before = set(threading.enumerate())
    with HealthServer(metrics, port=0, timeout_s=60) as server:
        client = connect(server)
        client.sendall(b"GET /live")
        assert ask(server, "/livez")[0].status == 200
    assert set(threading.enumerate()) == before
    with client:
        assert_closed(client)
    server.close()  # once more does nothing
    with HealthServer(metrics, port=server.port) as again:
        assert ask(again, "/livez")[0].status == 200


def test_a_process_that_ends_waits_for_no_client() -> None:
    program = """if True:
        from tests.health.test_server import HealthServer, Metrics, connect
        server = HealthServer(Metrics(), port=0, timeout_s=60)
        client = connect(server)
        client.sendall(b"GET /livez HTTP/1.1\\r\\n\\r\\n")
        client.recv(1)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_port_that_is_taken_is_refused_in_a_line(server: HealthServer, metrics: Metrics) -> None:
    expected = f"{server.url}: expected a port to listen on, seen Address already in use; use another"
    with pytest.raises(OSError, match=expected):
        HealthServer(metrics, port=server.port)
    assert ask(server, "/livez")[0].status == 200


def test_a_host_of_another_machine_is_refused_in_a_line(metrics: Metrics) -> None:
    with pytest.raises(OSError, match=r"http://192\.0\.2\.1:9300: expected a port to listen on, seen "):
        HealthServer(metrics, host="192.0.2.1")


def test_a_probe_returns_when_it_is_ready_and_else_says_why_not(server: HealthServer, metrics: Metrics) -> None:
    with pytest.raises(NotReadyError, match=f"^{server.url}/readyz: expected 200, seen 503: nothing is open yet$"):
        probe("127.0.0.1", server.port)
    metrics.set_ready()
    probe("127.0.0.1", server.port)
    server.close()
    with pytest.raises(NotReadyError, match=r"expected an answer, seen Connection refused$"):
        probe("127.0.0.1", server.port)


def test_a_collector_that_fails_keeps_its_traceback_and_the_process_stays_alive(
    capfd: pytest.CaptureFixture[str],
) -> None:
    class Failing:
        def collect(self) -> list[Metric]:
            raise ZeroDivisionError("of a worker")

    worker = CollectorRegistry()
    worker.register(Failing())
    with HealthServer(Metrics(worker), port=0) as server:
        assert answer_to(server, b"GET /metrics HTTP/1.1\r\n\r\n") == b""
        assert ask(server, "/livez")[0].status == 200
    assert "ZeroDivisionError: of a worker" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(b"SSH-2.0-x\r\n", "expected an answer, seen SSH-2.0-x", id="another protocol"),
        pytest.param(b"", "expected an answer, seen Remote end closed", id="nothing"),
        pytest.param(
            b"HTTP/1.1 500 No\r\n\r\na\r\n\x1b[2Jb" + b"c" * 9000, "expected 200, seen 500: a \\x1b[2Jb", id="rubbish"
        ),
        pytest.param(None, "expected an answer, seen timed out", id="silence"),
    ],
)
def test_a_probe_of_something_else_refuses_in_a_line(answer: bytes | None, expected: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_once() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(1024)
                if answer is None:
                    client.recv(1024)  # until the other side has had enough
                else:
                    client.sendall(answer)

        answering = threading.Thread(target=answer_once)
        answering.start()
        with pytest.raises(NotReadyError) as caught:
            probe("127.0.0.1", listener.getsockname()[1], timeout_s=0.3)
        answering.join()
    message = str(caught.value)
    assert expected in message
    assert message.isprintable()
    assert len(message) <= 500
