"""A fault on the way does no harm where it passes, and is one line where it stays."""

import re
import time
from pathlib import Path

import pytest

from morphstream.artifact.errors import DigestMismatchError, FetchError
from morphstream.boot.boot import boot
from morphstream.source.hub import HubSource
from morphstream.store.store import Store
from tests.layouts import CPU, MACHINE, publish
from tests.loopback.faults import Fault
from tests.loopback.repository import Repository
from tests.loopback.server import Hub
from tests.source.hub.answering import DATA, LFS, NAME, QUICK, begins, fetched, put, refusal, source_at


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
        pytest.param(Fault(kind="status", status=401), "the token in use may see, seen 401", id="401"),
        pytest.param(Fault(kind="status", status=403, is_echo=True), r"403 \(Bearer \*\*\*\); name", id="echo"),
        pytest.param(Fault(kind="status", status=403, code="GatedRepo"), "access to a gated repository", id="gated"),
        pytest.param(Fault(kind="status", status=404, code="RepoNotFound"), "a repository, seen 404", id="repo"),
        pytest.param(Fault(kind="status", status=404, code="RevisionNotFound"), "revision, seen 404", id="revision"),
        pytest.param(Fault(kind="status", status=404, code="EntryNotFound"), "file at that revision, seen", id="file"),
        pytest.param(Fault(kind="status", status=503, times=None), "seen 503 .* busy or down", id="503 always"),
        pytest.param(Fault(kind="status", status=429, retry_after="9999"), "seen 429 .* run it again", id="for hours"),
        pytest.param(Fault(kind="status", status=416, path=LFS), "its bytes, seen 416 .*; the store", id="416"),
        pytest.param(Fault(kind="lost", path="/resolve/", times=None), "an answer, seen none .*network", id="silence"),
        pytest.param(Fault(kind="cut", path=LFS, at=0, times=None), "none from .*the connection ended", id="cuts"),
        pytest.param(Fault(kind="short", path=LFS, at=1000, after=2), "100000 bytes, as for bytes", id="short"),
        pytest.param(Fault(kind="stale", path="/api/", after=0), "the file at that revision", id="a commit without it"),
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
