"""The kit's detector: a real SCRFD, out of a package that its author published and `downloads` keeps."""

import subprocess
import sys
import tarfile
from pathlib import Path

from morphstream.artifact.digest import Digest, digest_of, digest_of_file
from morphstream.artifact.errors import DigestMismatchError, FetchError
from morphstream.artifact.staged import scratch_folder

PACKAGE, VERSION = "scrfd", "0.3.0"
_PACKAGE_SHA256 = "35855c664d565492aab0068f1c64b4957a15ca6cd106b9c8b1642d67cfeeb5fc"
MODEL = Digest("9c162a817c7dd32d35d1f1c6ae6445032d6e73c6c5fe61d8b5b663ba8bc86b30", 3291739)
_PHOTO = Digest("ae76a5be54f53cca50074a0d1ac8653187154d264fc58ed928e1b92c27e17e2a", 2671814)


def det_10g(downloads: Path) -> bytes:
    """Return the ONNX file: ``input.1`` (1, 3, 640, 640) to score, bbox and kps of strides 8, 16 and 32."""
    return _member(downloads, "models/scrfd.onnx", MODEL)


def solvay(downloads: Path) -> bytes:
    """Return the photo that the package is tested on, a JPEG: the Solvay conference of 1927, 29 faces."""
    return _member(downloads, "images/solvay_conference_1927.jpg", _PHOTO)


def package(downloads: Path) -> Path:
    """Return the author's source package, downloaded once with the user's own pip settings."""
    archive = downloads / f"{PACKAGE}-{VERSION}.tar.gz"
    if archive.is_file() and digest_of_file(archive).sha256 == _PACKAGE_SHA256:
        return archive
    with scratch_folder(archive) as folder:
        requirement = folder / "requirement.txt"
        requirement.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{_PACKAGE_SHA256}\n", "utf-8")
        options = ["--no-deps", "--no-binary", PACKAGE, "--no-build-isolation", "--require-hashes", "--quiet"]
        pip = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), "-r", str(requirement)]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise FetchError(
                f"{PACKAGE} {VERSION}: expected pip to download it, seen {' '.join(reasons) or 'no reason'}; "
                "let pip reach a package index that has it, or set origin: hub"
            )
        (folder / archive.name).replace(archive)
    return archive


def _member(downloads: Path, name: str, expected: Digest) -> bytes:
    with tarfile.open(package(downloads)) as archive:
        file = archive.extractfile(f"{PACKAGE}-{VERSION}/{name}")
        data = file.read(expected.bytes + 1) if file else b""
    if digest_of(data) != expected:
        raise DigestMismatchError(name, expected, digest_of(data))
    return data
