"""Ranges come side by side and are given in order, whatever the sizes, until all is read or it is closed."""

import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from morphstream.artifact.digest import Digest, digest_of
from morphstream.artifact.errors import DigestMismatchError, FetchError
from morphstream.boot.boot import boot
from morphstream.store.store import Store
from tests.layouts import CPU, MACHINE, archive_of
from tests.loopback.repository import Repository
from tests.loopback.server import Hub
from tests.source.hub.answering import ARCHIVE, DATA, Answer, answering, at, fetched, ranged, source_at, wait_until

CUT = {"Content-Length": str(len(DATA)), "Connection": "close"}


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


@pytest.mark.parametrize("has_ranges", [True, False], ids=["ranges", "no ranges"])
def test_closing_from_another_thread_ends_a_read(*, has_ranges: bool) -> None:
    gate = threading.Event()

    def answer(_: str, wanted: tuple[int, int] | None) -> Answer:
        if wanted and wanted[0]:
            gate.wait(10)
        return ranged(DATA, wanted) if has_ranges else (200, CUT, DATA[:70_000])

    with answering(answer) as server, ThreadPoolExecutor(1) as pool:
        stream = at(server, range_bytes=70_000).open(f"archives/{ARCHIVE}")
        reading = pool.submit(stream.read)
        wait_until(lambda: len(server.asked) > 1)
        start = time.monotonic()
        stream.close()
        assert isinstance(reading.exception(), FetchError | CancelledError | ValueError)
        assert time.monotonic() - start < 5
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


def test_what_is_said_to_have_another_size_is_not_read(store: Store, layout: Path) -> None:
    manifest = (layout / "manifests/archives.json").read_bytes()

    def answer(path: str, wanted: tuple[int, int] | None) -> Answer:
        return ranged(DATA if "archives/" in path else manifest, wanted)

    with (
        answering(answer) as server,
        pytest.raises(DigestMismatchError, match=f"expected [0-9]+ bytes, seen {len(DATA)} bytes; fetch"),
    ):
        boot(store, source=at(server, range_bytes=1000, connections=1), machine=MACHINE)
    assert len(server.asked) < 8  # a few, that were asked for with the first


def test_a_server_that_knows_no_ranges_is_read_from_one_answer_and_again_after_a_cut() -> None:
    answers = iter([{"Content-Length": str(len(DATA) + 1)}, {}, {}])  # the first ends a byte too early

    def answer(_: str, __: tuple[int, int] | None) -> Answer:
        headers = next(answers)
        return 200, headers | {"Connection": "close"}, DATA + (b"" if headers else b"!")

    with answering(answer) as server:
        assert fetched(at(server)) == DATA + b"!"
        assert [byte_range for _, byte_range, _ in server.asked] == ["bytes=0-99999", f"bytes={len(DATA)}-{len(DATA)}"]


@pytest.mark.parametrize("most", [1, 999, 40_000])
def test_a_server_may_give_less_of_a_range_than_was_asked_for(most: int) -> None:
    data = DATA[: most * 30]
    with answering(lambda _, wanted: ranged(data, wanted and (wanted[0], min(wanted[1], wanted[0] + most)))) as server:
        assert fetched(at(server)) == data


@pytest.mark.parametrize("has_ranges", [True, False], ids=["ranges", "no ranges"])
@pytest.mark.parametrize("start", [0, 1, 150_000, len(DATA) - 1])
def test_a_file_can_be_read_from_a_byte_on(start: int, *, has_ranges: bool) -> None:
    with (
        answering(lambda _, wanted: ranged(DATA, wanted if has_ranges else None)) as server,
        at(server).open(f"archives/{ARCHIVE}", start=start, digest=digest_of(DATA)) as stream,
    ):
        assert stream.read() == DATA[start:]
        assert server.asked[0][1].startswith(f"bytes={start}-")


@pytest.mark.parametrize("has_ranges", [True, False], ids=["ranges", "no ranges"])
def test_bytes_before_a_fault_that_stays_can_be_read(*, has_ranges: bool) -> None:
    def answer(_: str, wanted: tuple[int, int] | None) -> Answer:
        if wanted and wanted[0]:
            return 404, {}, b""
        return 200 + 6 * has_ranges, {"Content-Range": f"bytes 0-{len(DATA) - 1}/{len(DATA)}"} | CUT, DATA[:70_000]

    with (
        answering(answer) as server,
        at(server, range_bytes=len(DATA)).open(f"archives/{ARCHIVE}") as stream,
    ):
        assert stream.read(len(DATA)) == DATA[:70_000]
        with pytest.raises(FetchError, match="seen 404"):
            stream.read(1)


def test_another_digest_than_expected_is_refused_before_the_file_is_asked_for(hub: Hub, served: Repository) -> None:
    for digest in (Digest("0" * 64, len(DATA)), Digest(digest_of(DATA).sha256, 5)):
        with pytest.raises(DigestMismatchError, match=rf"{ARCHIVE}: expected .* as pinned, seen "):
            source_at(hub).open(f"archives/{ARCHIVE}", digest=digest)
    assert not any(asked.path.startswith("/lfs/") for asked in hub.requests)
