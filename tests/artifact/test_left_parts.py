"""What a pack that was killed left beside its archive goes with the next one; what another one writes stays."""

import fcntl
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from morphstream.artifact.archive import describe, pack

PART = ".a.tar.zst.0123abcd.part"


def pack_one(folder: Path) -> set[str]:
    """Pack a file, and return what is in the folder then."""
    (folder / "file").write_bytes(b"x")
    pack({"file": folder / "file"}, folder / "a.tar.zst", level=1, threads=1)
    return {path.name for path in folder.iterdir()} - {"file"}


def test_what_a_killed_pack_left_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    killed = (
        "import sys, time; from pathlib import Path; from morphstream.artifact import archive\n"
        "archive.Writer.add = lambda *_: time.sleep(60)\n"
        "archive.pack({'file': Path(sys.argv[1])}, Path(sys.argv[2]), level=1, threads=1)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", killed, str(tmp_path / "file"), str(tmp_path / "a.tar.zst")]
    ) as process:
        while not list(tmp_path.glob(".a.tar.zst.*.part")):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
    assert list(tmp_path.glob(".a.tar.zst.*.part"))
    assert pack_one(tmp_path) == {"a.tar.zst"}


def test_what_another_pack_writes_stays(tmp_path: Path) -> None:
    with (tmp_path / PART).open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert pack_one(tmp_path) == {"a.tar.zst", PART}
    assert describe(tmp_path / "a.tar.zst").files
    assert pack_one(tmp_path) == {"a.tar.zst"}


@pytest.mark.parametrize(
    "name", [".b.tar.zst.0123abcd.part", ".a.tar.zst.part", ".a.tar.zst.0123.part", "a.tar.zst.0123abcd.part"]
)
def test_what_no_pack_of_this_name_makes_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    assert pack_one(tmp_path) == {"a.tar.zst", name}
    assert (tmp_path / name).read_bytes() == b"mine"
