"""Valid inputs of each target, made here, from which a fuzzer begins: what it wouldn't guess is right in them."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from morphstream.artifact.archive import pack
from morphstream.boot.boot import boot
from morphstream.media.provenance import MARK
from tests.layouts import CPU, MACHINE, publish
from tests.signing import Signing
from tests.stages import original

ROOT = Path(__file__).parents[1]
Make = Callable[[Path], Iterator[bytes]]


def seeds_of(target: str) -> list[bytes]:
    """Return the seeds of a target."""
    with tempfile.TemporaryDirectory() as name:
        return list(_MADE[target](Path(name)))


def _archives(folder: Path) -> Iterator[bytes]:
    (folder / "a").write_bytes(b"a text\n")
    (folder / "b").write_bytes(bytes(range(256)))
    for level in (1, 3):
        files = {"a.txt": folder / "a", "folder/b.bin": folder / "b"}
        pack(files, folder / "made.tar.zst", level=level, threads=1)
        yield (folder / "made.tar.zst").read_bytes()


def _published(path: str) -> Make:
    def make(folder: Path) -> Iterator[bytes]:
        yield (publish(folder, CPU) / path).read_bytes()

    return make


def _signed(folder: Path) -> Iterator[bytes]:
    signing = Signing(folder / "keys", now=datetime(2026, 1, 1, tzinfo=UTC))
    yield signing.roots[1]
    yield from signing.lists(signing.sign(publish(folder / "layout", CPU))).values()


def _record(folder: Path) -> Iterator[bytes]:
    boot(folder / "store", source=publish(folder / "layout", CPU), machine=MACHINE)
    yield (folder / "store/current.json").read_bytes()


def _exif(_: Path) -> Iterator[bytes]:
    directory = Image.Exif()
    directory[0x0112], directory[0x010F] = 6, "a camera"
    yield directory.tobytes()


def _models(_: Path) -> Iterator[bytes]:
    yield from (original(name) for name in ("fan_68_5", "xseg_1"))


def _texts(*texts: bytes) -> Make:
    return lambda _: iter(texts)


_MADE: Mapping[str, Make] = {
    "archive": _archives,
    "archive_description": _archives,
    "archives_manifest": _published("manifests/archives.json"),
    "cache_key": _texts(b"x86_64/ov2026.4", b"x86_64/ov2026.4_bf16", b"sm89/rtx1.7_ort1.31", b"sm89/trt10.14_ort1.24"),
    "deployed_code": _archives,
    "engine_manifest": _published(f"trt_cache/{CPU}/manifest.json"),
    "exif": _exif,
    "models_manifest": _texts((ROOT / "manifests/models.json").read_bytes()),
    "onnx": _models,
    "params": _texts((ROOT / "params.yaml").read_bytes()),
    "prepared_onnx": _models,
    "root": _signed,
    "signed_lists": _signed,
    "store_record": _record,
    "xmp": _texts(MARK),
    "yaml": _texts(b"jobs:\n- {source: a.png, target: [b.jpg, 'c d.mp4'], output: out}\ndefaults: &d {threads: 2}\n"),
}
