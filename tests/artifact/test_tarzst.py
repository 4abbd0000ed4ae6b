"""Whatever `pack` would not have written is refused in one line, and leaves nothing behind."""

import io
import os
import tarfile
import tracemalloc
from pathlib import Path
from typing import Literal

import pytest
import zstandard

from morphstream.artifact.archive import describe, pack, unpack
from morphstream.artifact.digest import digest_of
from morphstream.artifact.errors import DigestMismatchError, UnsafeArchiveError

FILES = {"a.bin": b"a" * 700, "models/b.onnx": b"bb"}
DIGESTS = {name: digest_of(data) for name, data in FILES.items()}
BLOCK = tarfile.BLOCKSIZE


def padded(data: bytes, size: int = BLOCK) -> bytes:
    return data + bytes(-len(data) % size)


def member(
    name: str,
    data: bytes = b"",
    *,
    kind: bytes = tarfile.REGTYPE,
    form: Literal[0, 1, 2] = tarfile.PAX_FORMAT,
    **fields: str | int,
) -> bytes:
    """Return a member's header and data; the fields are those of its header, its size included."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(form) + padded(data)


A, B = (member(name, data) for name, data in FILES.items())


def tar(*members: bytes) -> bytes:
    return padded(b"".join(members) + bytes(2 * BLOCK), tarfile.RECORDSIZE)


def zst(data: bytes) -> bytes:
    return zstandard.compress(data)


def zst_without_last_block(data: bytes) -> bytes:
    frame = zstandard.ZstdCompressor().compressobj()
    return frame.compress(data) + frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


def pax(records: bytes, size: int | None = None) -> bytes:
    return member("././@PaxHeader", records, kind=tarfile.XHDTYPE, size=len(records) if size is None else size)


def refused(archive: bytes, folder: Path) -> str:
    """Check that neither `unpack` nor `describe` takes an archive; return the refusal of `unpack`."""
    path = folder / "archive"
    path.write_bytes(archive)
    with pytest.raises(UnsafeArchiveError):
        describe(path)
    with pytest.raises(UnsafeArchiveError) as refusal:
        unpack(io.BytesIO(archive), DIGESTS, folder / "out")
    assert not list((folder / "out").iterdir())
    return str(refusal.value)


def test_the_members_of_these_tests_make_a_good_archive(tmp_path: Path) -> None:
    unpack(io.BytesIO(zst(tar(A, B))), DIGESTS, tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == FILES


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(member("../a.bin", FILES["a.bin"]), id="traversal"),
        pytest.param(member("/a.bin", FILES["a.bin"]), id="absolute name"),
        pytest.param(member("./a.bin", FILES["a.bin"]), id="name with a dot"),
        pytest.param(member("a.bin", kind=tarfile.SYMTYPE, linkname="/etc/passwd"), id="symbolic link"),
        pytest.param(member("a.bin", kind=tarfile.LNKTYPE, linkname="/etc/passwd"), id="hard link"),
        pytest.param(member("a.bin", linkname="/etc/passwd"), id="file with a link name"),
        pytest.param(member("a.bin", kind=tarfile.DIRTYPE), id="folder"),
        pytest.param(member("a.bin/", kind=tarfile.AREGTYPE), id="folder of old"),
        pytest.param(member("models", kind=tarfile.DIRTYPE) + A, id="folder of a file"),
        pytest.param(member("a.bin", kind=tarfile.FIFOTYPE), id="fifo"),
        pytest.param(member("a.bin", kind=tarfile.CHRTYPE, devmajor=1, devminor=3), id="device"),
        pytest.param(member("a.bin", kind=tarfile.BLKTYPE), id="block device"),
        pytest.param(member("a.bin", FILES["a.bin"], kind=tarfile.CONTTYPE), id="contiguous file"),
        pytest.param(member("a.bin", FILES["a.bin"], kind=tarfile.GNUTYPE_SPARSE), id="sparse file"),
        pytest.param(member("a.bin", FILES["a.bin"], kind=b"Z"), id="unknown type"),
        pytest.param(member("a.bin", FILES["a.bin"], form=tarfile.GNU_FORMAT), id="GNU header"),
        pytest.param(member("a.bin", FILES["a.bin"], mode=0o4755), id="set-user-id"),
        pytest.param(member("a.bin", FILES["a.bin"], mode=0o777), id="writable by all"),
        pytest.param(member("a.bin", FILES["a.bin"], mode=0o600), id="readable by its owner alone"),
        pytest.param(member("a.bin", FILES["a.bin"], mtime=1), id="time"),
        pytest.param(member("a.bin", FILES["a.bin"], uname="root"), id="owner"),
        pytest.param(member("n" * 200, form=tarfile.GNU_FORMAT) + A, id="GNU long name"),
        pytest.param(member("a.bin", size=-1, form=tarfile.GNU_FORMAT), id="negative size"),
        pytest.param(member("a.bin", size=8**11 - 1), id="huge size"),
        pytest.param(member("a.bin", size=1 << 60, form=tarfile.GNU_FORMAT), id="huger size"),
        pytest.param(pax(b"17 path=../a.bin\n") + A, id="PAX path out of the folder"),
        pytest.param(pax(b"14 path=a.bin\n") + A, id="PAX path where none is needed"),
        pytest.param(pax(b"17 path=\xff" + b"n" * 200 + b"\n") + A, id="PAX path that is no UTF-8"),
        pytest.param(pax(b"12 size=999\n") + A, id="PAX size"),
        pytest.param(pax(b"22 GNU.sparse.major=1\n") + A, id="PAX sparse file"),
        pytest.param(pax(b"", size=1 << 33) + A, id="huge PAX header"),
        pytest.param(pax(b"14 path=a.bin\n") * 2 + A, id="PAX header on a PAX header"),
        pytest.param(member("g", b"14 path=a.bin\n", kind=tarfile.XGLTYPE) + A, id="global PAX header"),
        pytest.param(A + A, id="duplicate"),
        pytest.param(A[:-1] + b"\1", id="padding that isn't zero"),
        pytest.param(A[:300] + b"\1" + A[301:], id="wrong header checksum"),
        pytest.param(os.urandom(BLOCK), id="noise"),
    ],
)
def test_a_bad_member_is_refused(tmp_path: Path, bad: bytes) -> None:
    message = refused(zst(tar(bad, B)), tmp_path)
    assert "\n" not in message
    assert message.endswith("; fetch or pack it again")


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(zst(tar(B, A)), id="another order"),
        pytest.param(zst(tar()), id="no files"),
        pytest.param(zst(b""), id="no tar"),
        pytest.param(b"", id="no archive"),
        pytest.param(tar(A, B), id="a tar without zstd"),
        pytest.param(zst(A + B + bytes(2 * BLOCK)), id="half a record"),
        pytest.param(zst(A + B + bytes(BLOCK) + A + bytes(2 * BLOCK)), id="a file behind the end"),
        pytest.param(zst(tar(A, B)[:-1] + b"\1"), id="an end that isn't zero"),
        pytest.param(zst_without_last_block(tar(A, B)), id="all data, but no end of the frame"),
        pytest.param(zst(tar(A, B)) + b"garbage", id="garbage behind the archive"),
        pytest.param(zst(tar(A, B)) + bytes(512), id="zeros behind the archive"),
        pytest.param(zst(tar(A, B)) + b"\x28", id="half a frame header behind the archive"),
        pytest.param(zst(tar(A, B)) + zst(b"more"), id="another frame"),
        pytest.param(zst(tar(A, B)) + zst(b"\1"), id="a forged end mark"),
        pytest.param(zst(tar(A, B)) * 2, id="the archive twice"),
    ],
)
def test_a_bad_archive_is_refused(tmp_path: Path, archive: bytes) -> None:
    refused(archive, tmp_path)


@pytest.mark.parametrize("size", [700, 128 * 1024 * 5 - 2 * BLOCK - BLOCK], ids=["short", "whole zstd blocks"])
def test_an_archive_is_refused_wherever_it_is_cut(tmp_path: Path, size: int) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(size))
    pack({"a": source}, tmp_path / "archive", level=3, threads=1)
    data = (tmp_path / "archive").read_bytes()
    cut = tmp_path / "cut"
    for end in range(len(data)):
        cut.write_bytes(data[:end])
        with pytest.raises(UnsafeArchiveError):
            describe(cut)
        with cut.open("rb") as stream, pytest.raises((UnsafeArchiveError, DigestMismatchError)):
            unpack(stream, {"a": digest_of(bytes(size))}, tmp_path / "out")
        assert not list((tmp_path / "out").iterdir())


def test_an_archive_is_refused_whichever_byte_is_altered(tmp_path: Path) -> None:
    data = zst(tar(A, B))
    for index in range(len(data)):
        altered = data[:index] + bytes([data[index] ^ 255]) + data[index + 1 :]
        with pytest.raises((UnsafeArchiveError, DigestMismatchError)):
            unpack(io.BytesIO(altered), DIGESTS, tmp_path)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param(A + member("c", size=8**11 - 1), id="a huge file"),
        pytest.param(A + B, id="behind the end"),
        pytest.param(pax(b"", size=1 << 33), id="a huge PAX header"),
    ],
)
def test_a_decompression_bomb_takes_no_memory(tmp_path: Path, bomb: bytes) -> None:
    archive = zst(bomb + bytes(1 << 28))
    tracemalloc.start()
    refused(archive, tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20
