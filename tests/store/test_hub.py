"""The Hub is a source: its archives come whole and in order whatever happens on the way, or one line says why not."""

import asyncio
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.errors import DigestMismatchError, FetchError
from morphstream.store.boot import boot
from morphstream.store.hub import HubSource
from morphstream.store.source import LocalSource, source_of
from morphstream.store.store import Store
from tests.loopback.faults import Fault
from tests.loopback.repository import Large, Repository
from tests.loopback.server import READ_TOKEN, WRITE_TOKEN, Hub
from tests.stages import ROOT
from tests.store.conftest import CPU, MACHINE, archive_of, publish

NAME, ARCHIVE = "org/name", "big.tar.zst"
DATA = random.Random(6).randbytes(1_000_003)
QUICK: dict[str, Any] = {"pauses_s": (0.0,) * 4, "range_bytes": 100_000}
LFS = "^/lfs/"


def put(repository: Repository, root: Path) -> str:
    """Commit a published layout, archives as large files; return the commit."""
    added: dict[str, bytes | Large] = {"manifests/archives.json": (root / "manifests/archives.json").read_bytes()}
    for path in (root / "archives").iterdir():
        digest = digest_of_file(path)
        place = repository.object_path(digest.sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
        added[f"archives/{path.name}"] = Large(digest.sha256, digest.bytes)
    return repository.commit(None, "Publish", added)


@pytest.fixture
def hub(hub: Hub) -> Iterator[Hub]:
    """The hub on loopback, which has noticed who hung up before it ends: it would leave their sockets open."""
    yield hub
    server = hub._runner.server
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01), hub._loop).result()  # in which it accepts who waits
    wait_until(lambda: server is None or not server.connections)


@pytest.fixture
def served(hub: Hub, layout: Path) -> Repository:
    """A private repository with a published layout, and an archive of a million bytes."""
    (layout / "archives" / ARCHIVE).write_bytes(DATA)
    repository = hub.create(NAME)
    put(repository, layout)
    hub.requests.clear()
    return repository


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Whatever a test did, no thread of a download outlives it."""
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("morphstream-hub")] == []


def source_at(hub: Hub, **changes: Any) -> HubSource:
    return HubSource(NAME, **{"endpoint": hub.endpoint, **QUICK, **changes})


def fetched(source: HubSource, name: str = ARCHIVE, size: int = -1) -> bytes:
    with source.open(f"archives/{name}") as stream:
        return stream.read() if size < 0 else b"".join(iter(lambda: stream.read(size), b""))


def begins(hub: Hub) -> list[int]:
    return [asked.begin for asked in hub.requests if asked.path.startswith("/lfs/")]


def refusal(source: HubSource) -> str:
    """Return the one line that refuses the archive, or already the commit."""
    with pytest.raises(FetchError) as refused:
        fetched(source)
    line = str(refused.value)
    assert re.fullmatch(rf"hub {NAME}@main( archives/{ARCHIVE})?: expected .+, seen .+; .+", line)
    assert not any(token in line for token in (WRITE_TOKEN, READ_TOKEN, "signature"))
    return line


def test_a_store_boots_from_it_at_one_commit(hub: Hub, served: Repository, store: Store, layout: Path) -> None:
    tip = served.tip()
    source = source_at(hub)
    report = boot(store, source=source, machine=MACHINE)
    assert (str(report.cache_key), report.was_good) == (CPU, False)
    assert report.steps[2].reason == f"{archive_of(CPU)} of hub {NAME}@main"
    store.verify()
    put(served, publish(layout, CPU, build=1))
    assert source.read("manifests/archives.json") != LocalSource(layout).read("manifests/archives.json")
    assert {asked.path.split("/")[4] for asked in hub.requests if "/resolve/" in asked.path} == {tip}
    assert [asked.path for asked in hub.requests].count(f"/api/models/{NAME}/revision/main") == 1
    assert not boot(store, source=source_at(hub), machine=MACHINE, update=True).was_good


def test_a_pinned_commit_is_read_without_asking_for_it(hub: Hub, served: Repository) -> None:
    assert fetched(HubSource(NAME, served.tip(), endpoint=hub.endpoint)) == DATA
    assert not any(asked.path.startswith("/api/") for asked in hub.requests)


def test_the_command_boots_from_the_environment(hub: Hub, served: Repository, store: Store, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "morphstream", "boot", "--target", CPU, "--store", str(store.path)]
    environment = {**os.environ, **hub.environment(tmp_path / "home"), "MORPHSTREAM_SOURCE": f"hub:{NAME}"}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    store.verify()


@pytest.mark.parametrize(("token", "is_private"), [(READ_TOKEN, True), ("", False)], ids=["private", "public"])
def test_a_token_is_of_the_argument_the_environment_or_the_login(
    hub: Hub, layout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str, is_private: bool
) -> None:
    put(hub.create(NAME, is_private=is_private), layout)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    if token:
        assert source_at(hub, token=token).read("manifests/archives.json")
        with pytest.raises(FetchError, match=r"seen 401 \(Invalid username or password\.\); set HF_TOKEN to one that"):
            source_at(hub).read("manifests/archives.json")
        (tmp_path / "home").mkdir()
        (tmp_path / "home/token").write_text(f"{token}\n")
    assert source_at(hub).read("manifests/archives.json")
    assert hub.requests[-1].has_authorization == bool(token)


def test_the_token_stays_with_the_endpoint(hub: Hub, served: Repository) -> None:
    fetched(source_at(hub))  # the loopback store refuses it, too
    assert {asked.path[:5]: asked.has_authorization for asked in hub.requests} == {
        "/api/": True, f"/{NAME}"[:5]: True, "/lfs/": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(kind="cut", path=LFS, at=70_000, times=3), id="cuts"),
        pytest.param(Fault(kind="cut", path=LFS, at=70_000, times=8), id="cuts, time and again, and some comes"),
        pytest.param(Fault(kind="cut", path=LFS, at=0, times=2), id="nothing comes"),
        pytest.param(Fault(kind="lost", path="/resolve/", times=2), id="no answer of the hub"),
        pytest.param(Fault(kind="lost", path=LFS, times=2), id="no answer of the store"),
        pytest.param(Fault(kind="status", status=503, times=3), id="503 three times"),
        pytest.param(Fault(kind="status", status=500, path=LFS, times=3), id="500 of the store"),
        pytest.param(Fault(kind="status", status=429, retry_after="0", times=3), id="429"),
        pytest.param(Fault(kind="drip", path=LFS, at=20_000, pause_s=0.001, times=None), id="drops"),
        pytest.param(Fault(kind="status", status=403, path=LFS, after=3), id="the store's address expires"),
    ],
)
def test_a_fault_that_passes_does_no_harm(hub: Hub, served: Repository, fault: Fault) -> None:
    hub.faults.add(fault)
    assert fetched(source_at(hub), size=33_333) == DATA


def test_what_came_before_a_cut_is_not_asked_for_again(hub: Hub, served: Repository) -> None:
    hub.faults.add(Fault(kind="cut", path=LFS, at=70_000, after=1))
    assert fetched(source_at(hub, connections=1, range_bytes=500_000)) == DATA
    assert begins(hub) == [0, 500_000, 570_000, 1_000_000]


def test_the_hub_s_wish_to_wait_is_granted(hub: Hub, served: Repository) -> None:
    hub.faults.add(Fault(kind="status", status=429, retry_after="1"))
    start = time.monotonic()
    assert fetched(source_at(hub)) == DATA
    assert time.monotonic() - start >= 1


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        pytest.param(Fault(kind="status", status=401), "the token in use may read, seen 401", id="401"),
        pytest.param(Fault(kind="status", status=403, is_echo=True), r"seen 403 \(Bearer \*\*\*\); set HF", id="echo"),
        pytest.param(Fault(kind="status", status=403, code="GatedRepo"), "access to a gated repository", id="gated"),
        pytest.param(Fault(kind="status", status=404, code="RepoNotFound"), "a repository, seen 404", id="repo"),
        pytest.param(Fault(kind="status", status=404, code="RevisionNotFound"), "revision, seen 404", id="revision"),
        pytest.param(Fault(kind="status", status=404, code="EntryNotFound"), "that file there, seen 404", id="file"),
        pytest.param(Fault(kind="status", status=503, times=None), "seen 503 .* busy or down", id="503 always"),
        pytest.param(Fault(kind="status", status=429, retry_after="9999"), "seen 429 .* run it again", id="for hours"),
        pytest.param(Fault(kind="status", status=416, path=LFS), "its bytes, seen 416 .*; the store", id="416"),
        pytest.param(Fault(kind="lost", path="/resolve/", times=None), "an answer, seen none .*network", id="silence"),
        pytest.param(Fault(kind="cut", path=LFS, at=0, times=None), "seen none .the connection ended, with", id="cuts"),
        pytest.param(Fault(kind="short", path=LFS, at=1000, after=2), "100000 bytes, as for bytes", id="short"),
        pytest.param(Fault(kind="stale", path="/api/", after=0), "that file there", id="a commit without it"),
        pytest.param(
            Fault(kind="drip", path=LFS, at=500, pause_s=0.02, times=None), "in 0.5 s, seen (only|none)", id="slow"
        ),
    ],
)  # fmt: skip
def test_a_fault_that_stays_is_one_line(hub: Hub, served: Repository, fault: Fault, message: str) -> None:
    hub.faults.add(fault)
    source = source_at(hub, timeout_s=0.5, pauses_s=(0.0,)) if fault.kind == "drip" else source_at(hub)
    assert re.search(message, refusal(source))


def test_an_altered_byte_leaves_the_old_store(hub: Hub, served: Repository, store: Store, layout: Path) -> None:
    boot(store, source=source_at(hub), machine=MACHINE)
    before = store.current()
    put(served, publish(layout, CPU, build=1))
    hub.faults.add(Fault(kind="corrupt", path=LFS))
    with pytest.raises(DigestMismatchError):
        boot(store, source=source_at(hub, range_bytes=4000), machine=MACHINE, update=True)
    assert store.current() == before
    store.verify()
    assert sorted(path.name for path in store.path.iterdir()) == [".lock", "caches", "current.json"]


def test_nobody_there_is_one_line() -> None:
    with pytest.raises(FetchError, match=r"^hub org/name@main: expected an answer, seen none \(127\.0\.0\.1: Connec"):
        HubSource(NAME, endpoint="http://127.0.0.1:9", **QUICK).read("manifests/a.json")


Answer = tuple[int, dict[str, str], bytes]
SHA = "0123456789" * 4


class Answering(ThreadingHTTPServer):
    """A hub that answers what a function says to a path and the range that is wanted of it, if any.

    Attributes:
        answer: The function.
        asked: The path and the range of each request, and its authorization.
        now: How many requests are being answered; `most` is how many there were.
    """

    daemon_threads, block_on_close = True, False

    def __init__(self, answer: Callable[[str, tuple[int, int] | None], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.answer, self.asked = answer, list[tuple[str, str, str]]()
        self.now = self.most = 0
        self.counting = threading.Lock()

    @property
    def endpoint(self) -> str:
        """The address of the hub."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that have hung up."""


class Answers(BaseHTTPRequestHandler):
    """One connection to it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Answering

    def do_GET(self) -> None:
        """Answer."""
        said = self.headers.get("Range", "")
        found = re.fullmatch("bytes=([0-9]+)-([0-9]*)", said)
        with self.server.counting:
            self.server.asked.append((self.path, said, self.headers.get("Authorization", "")))
            self.server.now += 1
            self.server.most = max(self.server.most, self.server.now)
        wanted = (int(found[1]), int(found[2] or 1 << 60) + 1) if found else None
        try:
            status, headers, body = self.server.answer(self.path, wanted)
            self.send_response_only(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        finally:
            with self.server.counting:
                self.server.now -= 1

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def answering(answer: Callable[[str, tuple[int, int] | None], Answer]) -> Iterator[Answering]:
    """Serve until the block ends."""
    with Answering(answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ranged(data: bytes, wanted: tuple[int, int] | None, **headers: str) -> Answer:
    """Answer a range as it should be, but for some headers."""
    if wanted is None:
        return 200, headers, data
    begin, end = wanted[0], min(wanted[1], len(data))
    said = {"Content-Range": f"bytes {begin}-{end - 1}/{len(data)}"}
    return 206, said | {name.replace("_", "-"): value for name, value in headers.items()}, data[begin:end]


def at(server: Answering, **changes: Any) -> HubSource:
    return HubSource(NAME, SHA, endpoint=server.endpoint, **{**QUICK, **changes})


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.integers(1, 3000),
    range_bytes=st.integers(1, 700),
    connections=st.integers(1, 5),
    read_bytes=st.integers(1, 900),
    has_ranges=st.booleans(),
)
def test_whatever_the_sizes_bytes_come_in_order(
    size: int, range_bytes: int, connections: int, read_bytes: int, *, has_ranges: bool
) -> None:
    data = DATA[:size]
    range_bytes = max(range_bytes, size // 40)
    with answering(lambda _, wanted: ranged(data, wanted if has_ranges else None)) as server:
        source = at(server, range_bytes=range_bytes, connections=connections)
        assert fetched(source, size=read_bytes) == data
        assert len(server.asked) == (-(-size // range_bytes) if has_ranges else 1)


def test_ranges_come_side_by_side_and_not_too_far_ahead() -> None:
    gate = threading.Semaphore(0)

    def answer(_: str, wanted: tuple[int, int] | None) -> Answer:
        if wanted and wanted[0]:
            gate.acquire(timeout=10)
        return ranged(DATA, wanted)

    with (
        answering(answer) as server,
        at(server, connections=3, range_bytes=20_000).open(f"archives/{ARCHIVE}") as stream,
    ):
        wait_until(lambda: server.now == 3)
        gate.release(1000)
        wait_until(lambda: server.now == 0 and len(server.asked) == 5)
        time.sleep(0.05)
        assert len(server.asked) == 5  # three connections, and two ahead
        assert stream.read(1) == DATA[:1]
        wait_until(lambda: server.now == 0 and len(server.asked) == 6)
        assert stream.read() == DATA[1:]
        assert (server.most, len(server.asked)) == (3, 51)


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.mark.parametrize("connections", [1, 4])
def test_closing_early_ends_what_is_on_its_way(connections: int) -> None:
    gate = threading.Event()

    def answer(_: str, wanted: tuple[int, int] | None) -> Answer:
        if wanted and wanted[0]:
            gate.wait(10)
        return ranged(DATA, wanted)

    with answering(answer) as server:
        stream = at(server, connections=connections).open(f"archives/{ARCHIVE}")
        assert stream.read(10) == DATA[:10]
        wait_until(lambda: server.now == connections)
        start = time.monotonic()
        stream.close()
        assert time.monotonic() - start < 5  # and not when the server or a time-out says so
        assert [thread for thread in threading.enumerate() if thread.name.startswith("morphstream-hub")] == []
        with pytest.raises(ValueError, match="closed"):
            stream.read(1)
        gate.set()


def test_a_boot_that_is_refused_on_its_way_leaves_no_thread(store: Store, layout: Path) -> None:
    archive = bytearray((layout / "archives" / archive_of(CPU)).read_bytes())
    archive[3999] ^= 1  # of a file that can't be compressed
    manifest = (layout / "manifests/archives.json").read_bytes()

    def answer(path: str, wanted: tuple[int, int] | None) -> Answer:
        return ranged(bytes(archive) if "archives/" in path else manifest, wanted)

    with answering(answer) as server, pytest.raises(DigestMismatchError):
        boot(store, source=at(server, range_bytes=1000), machine=MACHINE)
    assert not (store.path / "current.json").exists()


def test_a_server_that_knows_no_ranges_is_read_from_one_answer_and_again_after_a_cut() -> None:
    answers = iter([{"Content-Length": str(len(DATA) + 1)}, {}, {}])  # the first ends a byte too early

    def answer(_: str, __: tuple[int, int] | None) -> Answer:
        headers = next(answers)
        return 200, headers | {"Connection": "close"}, DATA + (b"" if headers else b"!")

    with answering(answer) as server:
        assert fetched(at(server)) == DATA + b"!"
        assert [said for _, said, _ in server.asked] == ["bytes=0-99999", f"bytes={len(DATA)}-"]


@pytest.mark.parametrize("most", [1, 999, 40_000])
def test_a_server_may_give_less_of_a_range_than_was_asked_for(most: int) -> None:
    data = DATA[: most * 30]
    with answering(lambda _, wanted: ranged(data, wanted and (wanted[0], min(wanted[1], wanted[0] + most)))) as server:
        assert fetched(at(server)) == data


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        pytest.param({"Content_Range": "bytes 0-99999/1000003"}, "bytes from 100000, up to 200000 .*0-99", id="start"),
        pytest.param({"Content_Range": "bytes 100000-200001/1000003"}, "bytes from 100000", id="longer"),
        pytest.param({"Content_Range": "bytes 100000-199999/*"}, "bytes from 100000", id="no size"),
        pytest.param({"Content_Range": "bytes 100000-199999/1000004"}, "1000003 bytes .* 1000004", id="another"),
        pytest.param({"Content_Range": "bytes 100000-99999/1000003"}, "bytes from 100000", id="nothing"),
        pytest.param({"Content_Range": ""}, "bytes from 100000, .* seen no range", id="no range"),
        pytest.param({"Content_Length": "100001"}, "100000 bytes, as for bytes 100000-199999", id="a long body"),
        pytest.param({"Content_Length": "99999"}, "100000 bytes, as for bytes 100000-199999", id="a short body"),
        pytest.param({"Transfer_Encoding": "chunked"}, "the size of an answer, seen none", id="no length"),
        pytest.param({"X_Repo_Commit": "f" * 40}, f"commit {SHA}, seen ffff", id="another commit"),
    ],
)  # fmt: skip
def test_an_answer_that_lies_is_refused_at_once(headers: dict[str, str], message: str) -> None:
    def answer(_: str, wanted: tuple[int, int] | None) -> Answer:
        return ranged(DATA, wanted, **(headers if wanted and wanted[0] == 100_000 else {}))

    with answering(answer) as server:
        with pytest.raises(FetchError, match=f"expected {message}.*; see HF_ENDPOINT"):
            fetched(at(server))
        assert [said for _, said, _ in server.asked].count("bytes=100000-199999") == 1


def test_an_archive_of_another_size_than_the_hub_says_is_refused(hub: Hub, served: Repository) -> None:
    digest = digest_of_file(next(path for path in served.path.rglob("*") if path.stat().st_size == len(DATA)))
    served.object_path(digest.sha256).write_bytes(DATA + b"more")
    assert "expected 1000003 bytes in all, as was said before, seen 1000007" in refusal(source_at(hub))


@pytest.mark.parametrize(
    ("location", "message"),
    [
        pytest.param("file:///etc/passwd", "a redirect to an address of http, seen one of file", id="a file"),
        pytest.param("", "a redirect to an address of http, seen one of nothing", id="nothing"),
        pytest.param("http://[::1/x", "a redirect to an address of http, seen one of nothing", id="no address"),
        pytest.param("/again", "5 redirects at most, seen more", id="in circles"),
    ],
)
def test_a_redirect_that_leads_nowhere_is_refused(location: str, message: str) -> None:
    with answering(lambda *_: (302, {"Location": location}, b"")) as server:
        with pytest.raises(FetchError, match=message):
            at(server).read("manifests/archives.json")
        assert len(server.asked) in (1, 6)


def test_redirects_are_followed_and_no_other_host_sees_the_token() -> None:
    with answering(lambda _, wanted: ranged(DATA, wanted)) as other:

        def answer(path: str, _: tuple[int, int] | None) -> Answer:
            target = f"{other.endpoint}/there?signature=x" if path == "/renamed" else "/renamed"
            return 307, {"Location": target}, b""

        with answering(answer) as server:
            assert fetched(at(server, token=READ_TOKEN)) == DATA
            assert at(server, token=READ_TOKEN).read("manifests/a.json") == DATA
            assert {authorization for _, _, authorization in server.asked} == {f"Bearer {READ_TOKEN}"}
            assert {authorization for _, _, authorization in other.asked} == {""}
            assert len(server.asked) == 4  # the address that the first range led to serves the others


def test_a_manifest_is_not_read_beyond_its_bound() -> None:
    most = "expected 67108864 bytes at most, seen more"
    with (
        answering(lambda *_: (200, {"Content-Length": str(1 << 40)}, b"x")) as server,
        pytest.raises(FetchError, match=most),
    ):
        at(server).read("manifests/archives.json")


@pytest.mark.parametrize("said", [b"[]", b"no json", b'{"sha": "main"}', b"\xff"])
def test_a_revision_without_a_commit_is_refused(said: bytes) -> None:
    line = r"^hub org/name@v1: expected its commit, seen an answer without one; see HF_ENDPOINT"
    with answering(lambda *_: (200, {}, said)) as server, pytest.raises(FetchError, match=line):
        HubSource(NAME, "v1", endpoint=server.endpoint).read("manifests/archives.json")


def test_a_name_in_words_is_a_hub_or_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(source_of("hub:org/name")) == "hub org/name@main"
    assert str(source_of("hub:org/name@refs/pr/1")) == "hub org/name@refs/pr/1"
    assert source_of("build") == LocalSource(Path("build"))
    assert source_of(Path("hub:a")) == LocalSource(Path("hub:a"))
    for wrong in ("hub:", "hub:name", "hub:a/b/c", "hub:../b", "hub:a/b@", "hub:a/b@x..y", "hub:a/b@x y", "hub:a/b@/x"):
        with pytest.raises(ValueError, match=r"^hub.*: expected a .*, seen '"):
            source_of(wrong)


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint": "ftp://localhost"},
        {"endpoint": "http://user:secret@localhost"},
        {"endpoint": "http://localhost:x"},
        {"token": "sec\nret"},
        {"connections": 0},
        {"range_bytes": 0},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_without_its_secrets(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^hub") as refused:
        HubSource(NAME, **changes)
    assert "sec" not in str(refused.value)


def test_http_is_loaded_where_it_is_used_only() -> None:
    program = "import sys, morphstream.__main__; print(sorted({'http.client', 'ssl'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
