"""The kit's detector is the pinned file of the pinned package, and a package that can't be had is refused clearly."""

from pathlib import Path

import pytest

from morphstream.artifact.digest import digest_of
from morphstream.artifact.errors import FetchError
from stages.kit import detector
from tests.stages import DOWNLOADS


def test_the_model_and_the_photo_are_the_pinned_ones() -> None:
    assert (
        digest_of(detector.det_10g(DOWNLOADS)).sha256
        == "9c162a817c7dd32d35d1f1c6ae6445032d6e73c6c5fe61d8b5b663ba8bc86b30"
    )
    assert (
        digest_of(detector.solvay(DOWNLOADS)).sha256
        == "ae76a5be54f53cca50074a0d1ac8653187154d264fc58ed928e1b92c27e17e2a"
    )


def test_without_a_package_index_the_refusal_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(FetchError, match=r"scrfd 0\.3\.0: expected pip to download it, seen ERROR.*origin: hub"):
        detector.package(tmp_path)
    assert not (tmp_path / "scrfd-0.3.0.tar.gz").exists()


def test_an_altered_package_in_the_cache_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    (tmp_path / "scrfd-0.3.0.tar.gz").write_bytes(b"something else")
    with pytest.raises(FetchError):
        detector.package(tmp_path)
