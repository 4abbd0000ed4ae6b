"""A video that was stopped or killed goes on from its finished parts, and has the frames of one that wasn't."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from morphstream.artifact.errors import FrameError, SessionError, VideoError
from morphstream.media.image import write_image
from morphstream.media.video.encoders import Encoding
from morphstream.media.video.parts import Parts, Tally
from morphstream.media.video.report import VideoReport
from morphstream.media.video.swap_video import VideoOptions, swap_video
from tests.media.video.films import COUNT, content_of, frame_of, painting, write_film

PART = 7


def at(place: int, act: Callable[[], object]) -> Callable[[int], object]:
    return lambda now: act() if now == place else None


def fail() -> None:
    raise SessionError("engine: expected an answer, seen none; ask again")


def run(folder: Path, before: Callable[[int], object] = bool, **options: object) -> VideoReport:
    choice = VideoOptions(part_frames=PART, **options)  # type: ignore[arg-type]
    return swap_video(painting(before), folder / "in.mp4", folder / "out.mp4", choice)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a film and with what became of it in one go."""
    folder = tmp_path_factory.mktemp("whole")
    write_film(folder / "in.mp4")
    run(folder)
    return folder


@pytest.fixture
def whole(tmp_path: Path, other: Path) -> tuple[Path, Path]:
    """A folder with the film alone, and the other one."""
    os.link(other / "in.mp4", tmp_path / "in.mp4")
    return tmp_path, other


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "in.mp4")


@pytest.mark.parametrize("place", [0, PART, PART + 1, COUNT - 1])
def test_after_a_failure_at_any_frame_the_frames_are_those_of_one_run(place: int, whole: tuple[Path, Path]) -> None:
    folder, other = whole
    with pytest.raises(FrameError):
        run(folder, at(place, fail))
    assert left(folder) == ([".out.mp4.parts"] if place > PART else [])
    report = run(folder, resume=True)
    assert content_of(folder / "out.mp4") == content_of(other / "out.mp4")
    assert (report.frames, report.swapped, report.tracks) == (COUNT, COUNT, 1)
    assert left(folder) == ["out.mp4"]


def stop(folder: Path, place: int, number: signal.Signals, **options: object) -> subprocess.CompletedProcess[str]:
    """Run in a process of its own, which gets a signal at a frame, and prints what is noted on the interrupt."""
    program = (
        "import os, signal, sys; from pathlib import Path; from tests.media.video.test_resume import at, run\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        f"try: run(Path(sys.argv[1]), at({place}, lambda: os.kill(os.getpid(), {number:d})), **{options})\n"
        "except KeyboardInterrupt as error: print(*error.__notes__); sys.exit(3)"
    )
    command = [sys.executable, "-c", program, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_killed_run_shows_nothing_and_can_be_resumed(whole: tuple[Path, Path]) -> None:
    folder, other = whole
    assert stop(folder, 2 * PART + 3, signal.SIGKILL).returncode == -signal.SIGKILL
    assert left(folder) == [".out.mp4.parts"]
    steps = list[int]()
    run(folder, steps.append, resume=True)
    assert steps[0] in (PART, 2 * PART)
    assert content_of(folder / "out.mp4") == content_of(other / "out.mp4")


@pytest.mark.parametrize(
    ("number", "places"),
    [
        pytest.param(signal.SIGINT, (3, 5), id="SIGINT, twice in the first part"),
        pytest.param(signal.SIGTERM, (2 * PART + 4,), id="SIGTERM, in the third part"),
    ],
)
def test_a_signal_leaves_what_is_done_as_a_whole_file_and_the_parts(
    number: signal.Signals, places: tuple[int, ...], whole: tuple[Path, Path]
) -> None:
    folder, other = whole
    all_of_it = content_of(other / "out.mp4")
    for place in places:
        stopped = stop(folder, place, number, resume=True)
        partial = content_of(folder / "out.mp4")
        count = len(partial.times)
        said = f"{folder / 'out.mp4'}: has the first {count} frames; go on with --resume\n"
        assert (stopped.returncode, stopped.stdout, stopped.stderr) == (3, said, "")
        assert place - 6 <= count <= place + 1  # between two threads wait two frames at most
        assert partial.times == all_of_it.times[:count]
        assert 0 < len(partial.packets[1]) < len(all_of_it.packets[1])
        assert partial.packets[1] == all_of_it.packets[1][: len(partial.packets[1])]
    run(folder, resume=True)
    assert content_of(folder / "out.mp4") == all_of_it
    assert left(folder) == ["out.mp4"]


def test_a_signal_leaves_a_file_that_was_there(whole: tuple[Path, Path]) -> None:
    folder, _ = whole
    (folder / "out.mp4").write_bytes(b"mine")
    stopped = stop(folder, PART + 4, signal.SIGINT, overwrite=True)
    assert (stopped.returncode, stopped.stdout) == (3, f"{folder / 'out.mp4'}: stays as it was; go on with --resume\n")
    assert (folder / "out.mp4").read_bytes() == b"mine"


def test_numbered_pictures_are_resumed_into_their_own_folder_but_not_where_one_changed(tmp_path: Path) -> None:
    for number in range(PART + 3):
        write_image(tmp_path / f"{number:02}.png", frame_of(number))
    job = VideoOptions(part_frames=PART, fps=Fraction(25))
    with pytest.raises(FrameError):
        swap_video(painting(at(PART + 1, fail)), tmp_path, tmp_path / "out.mp4", job)
    assert (tmp_path / ".out.mp4.parts").is_dir()
    resumed = replace(job, resume=True)
    state = (tmp_path / "00.png").stat()
    os.utime(tmp_path / "00.png", ns=(0, 0))
    with pytest.raises(VideoError, match="expected to resume with source"):
        swap_video(painting(), tmp_path, tmp_path / "out.mp4", resumed)
    os.utime(tmp_path / "00.png", ns=(state.st_atime_ns, state.st_mtime_ns))
    steps = list[int]()
    swap_video(painting(steps.append), tmp_path, tmp_path / "out.mp4", resumed)
    assert steps == list(range(PART, PART + 3))


def test_another_job_is_not_resumed_and_begins_anew_without(whole: tuple[Path, Path]) -> None:
    folder, _ = whole
    with pytest.raises(FrameError):
        run(folder, at(2 * PART, fail))
    with pytest.raises(VideoError) as caught:
        run(folder, resume=True, encoding=Encoding(None, 30))
    seen = "expected to resume with encoder libx264, crf 18, preset medium, seen libx264, crf 30, preset medium"
    remedy = "say what was said before, or begin anew without --resume"
    assert str(caught.value) == f"{folder / 'out.mp4'}: {seen}; {remedy}"
    steps = list[int]()
    run(folder, steps.append, encoding=Encoding(None, 30))
    assert steps == list(range(COUNT))


def parts_of(folder: Path, *, resume: bool = True, **job: str) -> Parts:
    return Parts(folder / "out.mp4", job or {"a": "1"}, resume=resume)


def add(parts: Parts, frames: int) -> None:
    parts.begin().close()
    parts.finish(Tally(frames=frames, tracks=frozenset([3, 1])), 10 * frames, b"\0state")


def test_parts_come_back_up_to_the_first_that_is_not_whole(tmp_path: Path) -> None:
    with parts_of(tmp_path) as parts:
        for number in (1, 2, 3):
            add(parts, number)
        written = list(parts.finished)
    with parts_of(tmp_path) as parts:
        assert parts.finished == written
    (parts.folder / "1.packets").write_bytes(b"more")
    with parts_of(tmp_path) as parts:
        assert parts.finished == written[:1]
    (parts.folder / "0.packets").unlink()
    with parts_of(tmp_path) as parts:
        assert parts.finished == []
    assert not parts.folder.exists()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda text: text.replace("10", "11", 1), id="another number"),
        pytest.param(lambda text: text[:-9], id="cut short"),
        pytest.param(lambda _: "[]", id="a list"),
        pytest.param(lambda _: '{"part": 1, "sha256": 2}', id="numbers"),
    ],
)
def test_a_part_is_made_anew_whose_record_is_damaged(damage: Callable[[str], str], tmp_path: Path) -> None:
    with parts_of(tmp_path) as parts:
        add(parts, 1)
    record = parts.folder / "0.json"
    assert damage(record.read_text()) != record.read_text()
    record.write_text(damage(record.read_text()))
    with parts_of(tmp_path) as parts:
        assert parts.finished == []


def test_a_job_that_is_damaged_is_another(tmp_path: Path) -> None:
    with parts_of(tmp_path) as parts:
        add(parts, 1)
    (parts.folder / "job.json").write_text("[1]")
    with pytest.raises(VideoError, match="expected to resume with a None, seen 1"):
        parts_of(tmp_path)


def test_two_runs_do_not_make_one_video_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    with parts_of(tmp_path), pytest.raises(VideoError, match="seen another process"):
        parts_of(tmp_path)
    (tmp_path / ".out.mp4.parts").mkdir()
    (tmp_path / ".out.mp4.parts" / "letters").touch()
    with pytest.raises(VideoError, match="with other content"):
        parts_of(tmp_path, resume=False)
    assert (tmp_path / ".out.mp4.parts" / "letters").exists()
