"""A file of the Hub is brought byte for byte, whatever happens on the way, or what was there stays."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from morphstream.artifact.digest import Digest, digest_of
from morphstream.artifact.errors import DigestMismatchError, FetchError
from stages.hub.download import download
from stages.hub.repository import Repository
from tests.loopback.faults import Fault
from tests.loopback.repository import Large
from tests.loopback.server import Hub
from tests.stages import ROOT

NAME, PATH = "org/name", "models/a.onnx"
DATA = os.urandom(3 << 20)
DIGEST = digest_of(DATA)


@pytest.fixture
def commit(hub: Hub) -> str:
    """Publish a large file and a small one, and return the commit that has them."""
    repository = hub.create(NAME)
    path = repository.object_path(DIGEST.sha256)
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    return repository.commit(None, "Add", {PATH: Large(DIGEST.sha256, DIGEST.bytes), "small.onnx": b"small"})


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where the file is wanted; another one is there."""
    target = tmp_path / "build" / "a.onnx"
    target.parent.mkdir()
    target.write_bytes(b"another")
    return target


def bring(
    hub: Hub, commit: str, target: Path, path: str = PATH, expected: Digest = DIGEST, *, attempts: int = 5
) -> list[int]:
    """Download and return the size of each part that came."""
    parts: list[int] = []
    repository = Repository(NAME, endpoint=hub.endpoint, pauses_s=(0.0,) * (attempts - 1))
    download(repository.source(commit), path, expected, target, parts.append)
    return parts


def beside(target: Path) -> list[Path]:
    """Return the files beside the target."""
    return sorted(set(target.parent.iterdir()) - {target})


def begins(hub: Hub) -> list[int]:
    """Return where each request for a large file began."""
    return [asked.begin for asked in hub.requests if asked.path.startswith("/lfs/")]


@pytest.mark.parametrize(("path", "data"), [(PATH, DATA), ("small.onnx", b"small")], ids=["large", "small"])
def test_it_takes_the_place_of_what_was_there_and_is_counted(
    hub: Hub, commit: str, target: Path, path: str, data: bytes
) -> None:
    parts = bring(hub, commit, target, path, digest_of(data))
    assert target.read_bytes() == data
    assert sum(parts) == len(data)
    assert beside(target) == []


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(kind="cut", path="^/lfs/", at=1_500_000), id="cut at a byte"),
        pytest.param(Fault(kind="cut", path="^/lfs/", at=1_200_000, times=2), id="cut time and again"),
        pytest.param(Fault(kind="short", path="^/lfs/", at=1_000_000), id="ended too early"),
        pytest.param(Fault(kind="corrupt", path="^/lfs/"), id="of the same size with another byte"),
        pytest.param(Fault(kind="drip", path="^/lfs/", at=200_000, pause_s=0.005), id="slow"),
        pytest.param(Fault(kind="status", status=503, times=3), id="503 three times"),
        pytest.param(Fault(kind="status", status=503, path="^/lfs/", times=3), id="503 of the store"),
        pytest.param(Fault(kind="status", status=429, retry_after="0", times=2), id="429"),
        pytest.param(Fault(kind="lost", path="/resolve/"), id="no answer"),
    ],
)
def test_a_fault_that_passes_does_no_harm(hub: Hub, commit: str, target: Path, fault: Fault) -> None:
    hub.faults.add(fault)
    parts = bring(hub, commit, target)
    assert target.read_bytes() == DATA
    assert sum(parts) == len(DATA)
    assert beside(target) == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        pytest.param(
            Fault(kind="status", status=401), "expected a repository that the token in use may see, seen 401", id="401"
        ),
        pytest.param(
            Fault(kind="status", status=403), "expected a repository that the token in use may see, seen 403", id="403"
        ),
        pytest.param(
            Fault(kind="status", status=404, code="RepoNotFound"), "expected a repository", id="no repository"
        ),
        pytest.param(
            Fault(kind="status", status=404, code="RevisionNotFound"), "expected the revision", id="no revision"
        ),
        pytest.param(
            Fault(kind="status", status=404, code="EntryNotFound"), "expected the file at that revision", id="no file"
        ),
        pytest.param(Fault(kind="status", status=403, code="GatedRepo"), "expected access to a gated", id="gated"),
        pytest.param(Fault(kind="status", status=503, times=None), "the Hub is busy or down", id="503 always"),
        pytest.param(Fault(kind="status", status=429, retry_after="9999", times=None), "seen 429", id="429 for hours"),
        pytest.param(Fault(kind="lost", path="/resolve/", times=None), "expected an answer, seen none", id="silence"),
        pytest.param(Fault(kind="cut", path="^/lfs/", at=0, times=None), "expected an answer, seen none", id="cuts"),
    ],
)
def test_a_fault_that_stays_is_one_line_and_leaves_what_was_there(
    hub: Hub, commit: str, target: Path, fault: Fault, message: str
) -> None:
    hub.faults.add(fault)
    with pytest.raises(FetchError) as refused:
        bring(hub, commit, target)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith(f"hub {NAME}@{commit} {PATH}: ")
    assert target.read_bytes() == b"another"
    assert beside(target) == []


def test_bytes_that_stay_wrong_are_refused_after_a_second_whole_download(hub: Hub, commit: str, target: Path) -> None:
    hub.faults.add(Fault(kind="corrupt", path="^/lfs/", times=None))
    with pytest.raises(DigestMismatchError, match=r"models/a\.onnx: expected sha256 "):
        bring(hub, commit, target)
    assert target.read_bytes() == b"another"
    assert begins(hub) == [0, 0]


@pytest.mark.parametrize(
    "pinned", [Digest("0" * 64, DIGEST.bytes), Digest(DIGEST.sha256, 5)], ids=["another sha256", "another size"]
)
def test_another_pin_than_the_hub_s_is_refused_before_anything_is_downloaded(
    hub: Hub, commit: str, target: Path, pinned: Digest
) -> None:
    with pytest.raises(DigestMismatchError, match="as pinned"):
        bring(hub, commit, target, expected=pinned)
    assert begins(hub) == []
    assert target.read_bytes() == b"another"


def test_more_bytes_than_pinned_are_not_written(hub: Hub, commit: str, target: Path) -> None:
    hub.repository(NAME).object_path(DIGEST.sha256).write_bytes(DATA + b"more")
    with pytest.raises(DigestMismatchError, match=f"{len(DATA)} bytes as pinned, seen {len(DATA) + 4} bytes"):
        bring(hub, commit, target)
    assert sum(path.stat().st_size for path in beside(target)) == 0


def test_what_came_before_a_cut_is_continued_by_the_next_run(hub: Hub, commit: str, target: Path) -> None:
    hub.faults.add(Fault(kind="cut", path="^/lfs/", at=2_500_000))
    hub.faults.add(Fault(kind="status", status=503, path="/resolve/", after=1, times=None))
    with pytest.raises(FetchError):
        bring(hub, commit, target, attempts=1)
    (part,) = beside(target)
    assert part.read_bytes() == DATA[: part.stat().st_size]
    assert part.stat().st_size > 1_000_000
    hub.faults.clear()
    hub.requests.clear()
    before = part.stat().st_size
    assert sum(bring(hub, commit, target)) == len(DATA)
    assert begins(hub) == [before]
    assert target.read_bytes() == DATA
    assert beside(target) == []


def test_a_part_that_was_spoilt_is_given_up(hub: Hub, commit: str, target: Path) -> None:
    (target.parent / f".a.onnx.{DIGEST.sha256[:16]}.part").write_bytes(b"spoilt")
    assert sum(bring(hub, commit, target)) == len(DATA)
    assert target.read_bytes() == DATA


_PROGRAM = """
import sys
from pathlib import Path
from morphstream.artifact.digest import Digest
from stages.hub.client import prepare_client
from stages.hub.download import download
from stages.hub.repository import Repository
prepare_client()
name, path, commit, sha256, size, target = sys.argv[1:]
download(Repository(name).source(commit), path, Digest(sha256, int(size)), Path(target))
"""


def test_processes_that_want_one_file_download_it_once(hub: Hub, commit: str, target: Path, tmp_path: Path) -> None:
    hub.faults.add(Fault(kind="drip", path="^/lfs/", at=1 << 20, pause_s=0.2))
    processes = [start(hub, commit, target, tmp_path) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert target.read_bytes() == DATA
    assert begins(hub) == [0]
    assert beside(target) == []


def test_a_killed_process_s_download_is_continued(hub: Hub, commit: str, target: Path, tmp_path: Path) -> None:
    hub.faults.add(Fault(kind="drip", path="^/lfs/", at=1 << 16, pause_s=0.02))
    process = start(hub, commit, target, tmp_path)
    while sum(path.stat().st_size for path in beside(target)) == 0:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert target.read_bytes() == b"another"
    assert bring(hub, commit, target)
    assert target.read_bytes() == DATA
    assert begins(hub)[-1] > 0


def start(hub: Hub, commit: str, target: Path, tmp_path: Path) -> subprocess.Popen[bytes]:
    arguments = [NAME, PATH, commit, DIGEST.sha256, str(DIGEST.bytes), str(target)]
    environment = {**os.environ, **hub.environment(tmp_path / "home")}
    return subprocess.Popen([sys.executable, "-c", _PROGRAM, *arguments], cwd=ROOT, env=environment)


def test_a_download_that_is_told_to_stop_stops(hub: Hub, commit: str, target: Path) -> None:
    hub.faults.add(Fault(kind="drip", path="^/lfs/", at=1 << 14, pause_s=0.01))
    source, stop = Repository(NAME, endpoint=hub.endpoint, pauses_s=()).source(commit), threading.Event()

    def add(_: int) -> None:
        if stop.is_set():
            raise InterruptedError

    with ThreadPoolExecutor(1) as pool:
        task = pool.submit(download, source, PATH, DIGEST, target, add)
        time.sleep(0.2)
        stop.set()
        assert isinstance(task.exception(timeout=20), InterruptedError)
    assert target.read_bytes() == b"another"


def test_nothing_is_asked_for_where_the_environment_forbids_it(
    hub: Hub, commit: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(FetchError, match="expected a Hub to ask, seen HF_HUB_OFFLINE; unset it"):
        bring(hub, commit, target)
    assert hub.requests == []
