"""The same files give the same archive, and unpacking gives exactly those files or nothing."""

import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path, PosixPath, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphstream.artifact.archive import Packed, describe, pack, unpack
from morphstream.artifact.digest import Digest, digest_of, digest_of_file
from morphstream.artifact.errors import DigestMismatchError, UnsafeArchiveError

LONG = f"trt_cache/sm89/trt10.14_ort1.24/{'f' * 64}-TensorrtExecutionProvider_TRTKernel_fp16_sm89.engine"
SMALL = {"models/b.onnx": b"bb", "a.bin": b"a" * 1000, "empty": b"", LONG: b"engine"}

segment = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/\\"), min_size=1, max_size=30)
path_name = st.lists(segment.filter(lambda text: text not in {".", ".."}), min_size=1, max_size=3).map("/".join)
trees = st.dictionaries(path_name, st.binary(max_size=2000), min_size=1, max_size=5).filter(
    lambda files: not any(str(parent) in files for name in files for parent in PurePosixPath(name).parents)
)


def sources(folder: Path, files: Mapping[str, bytes]) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    paths = {name: folder / str(index) for index, name in enumerate(sorted(files))}
    for name, path in paths.items():
        path.write_bytes(files[name])
    return paths


def packed_in(folder: Path, files: Mapping[str, bytes]) -> tuple[Path, Packed]:
    archive = folder / "files.tar.zst"
    return archive, pack(sources(folder / "sources", files), archive, level=3, threads=1)


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_tar_has_its_golden_digest(tmp_path: Path) -> None:
    _, packed = packed_in(tmp_path, SMALL)
    assert packed.tar == Digest("04d273a290e88d53a0be69cf396a73d894dd69170d62f075aaffb78a28f84a70", 10240)


def test_bytes_are_the_same_for_every_run_order_and_number_of_threads(tmp_path: Path) -> None:
    noise = os.urandom(3 << 20)
    files = sources(tmp_path / "sources", {"a": noise, "b": bytes(3 << 20), "c/d": noise[::-1]})
    orders = (files, dict(reversed(files.items())))
    runs = [pack(order, tmp_path / "archive", level=1, threads=threads) for threads in (1, 2, 4) for order in orders]
    assert runs == [runs[0]] * 6
    assert digest_of_file(tmp_path / "archive") == runs[0].archive


def test_what_its_owner_may_execute_he_may_when_it_is_unpacked_and_other_modes_are_lost(tmp_path: Path) -> None:
    sources = {name: tmp_path / name for name in ("run.sh", "secret", "text")}
    for (name, source), mode in zip(sources.items(), (0o700, 0o600, 0o666), strict=True):
        source.write_text(name)
        source.chmod(mode)
    made = pack(sources, tmp_path / "a.tar.zst", level=3, threads=1)
    with (tmp_path / "a.tar.zst").open("rb") as stream:
        unpack(stream, made.files, tmp_path / "out")
    modes = {name: (tmp_path / "out" / name).stat().st_mode & 0o111 for name in sources}
    assert modes == {"run.sh": 0o111, "secret": 0, "text": 0}


def test_what_was_packed_is_what_is_described(tmp_path: Path) -> None:
    archive, packed = packed_in(tmp_path, SMALL)
    assert packed.files == {name: digest_of(data) for name, data in SMALL.items()}
    assert packed.archive == digest_of_file(archive)
    assert describe(archive) == packed


@given(trees)
def test_any_files_survive_packing_and_unpacking(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive, packed = packed_in(Path(folder), files)
        with archive.open("rb") as stream:
            unpack(stream, packed.files, Path(folder, "out"), archive=packed.archive)
        assert files_in(Path(folder, "out")) == files
        assert describe(archive) == packed


class Trickle(io.BytesIO):
    """A stream that gives a byte at a time, as a network may."""

    def read(self, size: int | None = -1) -> bytes:
        """Return one byte, or none at the end."""
        return super().read(min(size or 0, 1))


def test_a_stream_may_give_less_than_it_is_asked_for(tmp_path: Path) -> None:
    archive, packed = packed_in(tmp_path, SMALL)
    unpack(Trickle(archive.read_bytes()), packed.files, tmp_path / "out", archive=packed.archive)
    assert files_in(tmp_path / "out") == SMALL


def test_the_system_tar_opens_an_archive(tmp_path: Path) -> None:
    if missing := [program for program in ("tar", "zstd") if not shutil.which(program)]:
        pytest.skip(f"needs the programs {missing}")
    archive, _ = packed_in(tmp_path, SMALL)
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "--zstd", "-xf", archive, "-C", tmp_path / "out"], check=True)
    assert files_in(tmp_path / "out") == SMALL
    assert (tmp_path / "out/a.bin").stat().st_mtime == 0


def _link(path: Path) -> None:
    path.symlink_to(path.rename(path.with_suffix(".real")))


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _grow(path: Path) -> None:
    os.truncate(path, 8 << 30)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param(Path.unlink, FileNotFoundError, id="missing"),
        pytest.param(_link, UnsafeArchiveError, id="a symbolic link"),
        pytest.param(_folder, UnsafeArchiveError, id="a folder"),
        pytest.param(_fifo, UnsafeArchiveError, id="a fifo"),
        pytest.param(_grow, UnsafeArchiveError, id="too large"),
    ],
)
def test_a_bad_source_leaves_the_old_archive(
    tmp_path: Path, fault: Callable[[Path], None], error: type[Exception]
) -> None:
    archive, packed = packed_in(tmp_path, SMALL)
    files = sources(tmp_path / "sources", SMALL)
    fault(files["empty"])
    with pytest.raises(error):
        pack(files, archive, level=3, threads=1)
    assert describe(archive) == packed
    assert {path.name for path in tmp_path.iterdir()} == {"files.tar.zst", "sources"}


class Shrinking(PosixPath):
    """A file that gets shorter after it was looked at."""

    after_bytes = 1

    def lstat(self) -> os.stat_result:
        """Look at the file, then resize it."""
        status = super().lstat()
        os.truncate(self, self.after_bytes)
        return status


class Growing(Shrinking):
    """A file that gets longer after it was looked at."""

    after_bytes = 3000


@pytest.mark.parametrize("kind", [Shrinking, Growing])
def test_a_source_that_changes_its_size_is_refused(tmp_path: Path, kind: type[PosixPath]) -> None:
    path = kind(tmp_path / "source")
    path.write_bytes(bytes(2000))
    with pytest.raises(DigestMismatchError, match="expected 2000 bytes, seen another size"):
        pack({"a": path}, tmp_path / "archive", level=3, threads=1)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([], id="none"),
        pytest.param([""], id="empty"),
        pytest.param(["/etc/passwd"], id="absolute"),
        pytest.param(["a/../../b"], id="traversal"),
        pytest.param(["./a"], id="a dot"),
        pytest.param(["a//b"], id="an empty segment"),
        pytest.param(["a/"], id="a folder"),
        pytest.param(["a\\b"], id="a backslash"),
        pytest.param(["a\nb"], id="a line end"),
        pytest.param(["a\n"], id="a line end at the end"),
        pytest.param(["\ud800"], id="half a character"),
        pytest.param(["é" * 201], id="too long"),
        pytest.param(["a", "a/b"], id="a file as a folder"),
    ],
)
def test_unsafe_names_are_refused_on_both_sides(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(UnsafeArchiveError, match=r"^archive: expected .*, seen .*; "):
        pack(dict.fromkeys(names, tmp_path), tmp_path / "archive", level=3, threads=1)
    with pytest.raises(UnsafeArchiveError, match=r"^archive: expected .*, seen .*; "):
        unpack(io.BytesIO(), dict.fromkeys(names, digest_of(b"")), tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("level", "threads"),
    [(0, 1), (20, 1), (3, 0)],
    ids=["the library's level", "a level too high", "no threads"],
)
def test_levels_and_threads_with_unstable_bytes_are_refused(tmp_path: Path, level: int, threads: int) -> None:
    with pytest.raises(ValueError, match=r"^expected level 1 to 19 and 1 thread or more"):
        pack(sources(tmp_path, SMALL), tmp_path / "archive", level=level, threads=threads)


def test_a_folder_with_files_is_refused_and_kept(tmp_path: Path) -> None:
    archive, packed = packed_in(tmp_path, SMALL)
    with archive.open("rb") as stream, pytest.raises(ValueError, match="expected an empty folder"):
        unpack(stream, packed.files, tmp_path)
    assert archive.exists()


ALTERED = Digest(digest_of(b"other").sha256, 2)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        pytest.param({"models/b.onnx": None}, UnsafeArchiveError, "models/b.onnx: expected no such file", id="extra"),
        pytest.param({"z": digest_of(b"")}, UnsafeArchiveError, r"archive: expected \['z'\] too", id="missing"),
        pytest.param({"a.bin": digest_of(b"a")}, UnsafeArchiveError, "a.bin: expected 1 bytes, seen 1000", id="size"),
        pytest.param({"models/b.onnx": ALTERED}, DigestMismatchError, "models/b.onnx: expected", id="other bytes"),
    ],
)
def test_other_files_than_expected_leave_nothing(
    tmp_path: Path, changes: dict[str, Digest | None], error: type[Exception], message: str
) -> None:
    archive, packed = packed_in(tmp_path, SMALL)
    expected = {name: digest for name, digest in (packed.files | changes).items() if digest}
    with archive.open("rb") as stream, pytest.raises(error, match=f"^{message}"):
        unpack(stream, expected, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("more", [-1, 1], ids=["shorter", "longer"])
def test_an_archive_of_another_size_leaves_nothing(tmp_path: Path, more: int) -> None:
    archive, packed = packed_in(tmp_path, SMALL)
    named = Digest(packed.archive.sha256, packed.archive.bytes + more)
    with archive.open("rb") as stream, pytest.raises(DigestMismatchError, match=r"^archive: expected"):
        unpack(stream, packed.files, tmp_path / "out", archive=named)
    assert not list((tmp_path / "out").iterdir())


def test_an_archive_with_another_hash_leaves_nothing(tmp_path: Path) -> None:
    archive, packed = packed_in(tmp_path, SMALL)
    named = Digest(packed.tar.sha256, packed.archive.bytes)
    with archive.open("rb") as stream, pytest.raises(DigestMismatchError, match=r"^archive: expected"):
        unpack(stream, packed.files, tmp_path / "out", archive=named)
    assert not list((tmp_path / "out").iterdir())


def test_an_endless_stream_is_read_one_byte_past_the_archive_at_most(tmp_path: Path) -> None:
    archive, packed = packed_in(tmp_path, SMALL)
    stream = io.BytesIO(archive.read_bytes() + bytes(1 << 20))
    with pytest.raises(DigestMismatchError, match="bytes, seen more"):
        unpack(stream, packed.files, tmp_path / "out", archive=packed.archive)
    assert stream.tell() == packed.archive.bytes + 1
    assert not list((tmp_path / "out").iterdir())
