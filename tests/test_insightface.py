"""On the same files and photos, faces are found, described and swapped as InsightFace's own classes do it."""

from pathlib import Path

import numpy as np
import pytest

from bench.insightface import Differences, compare, installed_peer
from morphstream.store.store import Store
from stages.photos import astronaut, solvay
from tests.stages import DOWNLOADS

pytestmark = pytest.mark.network


def test_what_differs_is_within_what_is_promised(published: Path, booted: Store, tmp_path: Path) -> None:
    with installed_peer(tmp_path / "peer", published / "models") as peer:
        for photo, faces in (
            (astronaut(), 1),
            (solvay(DOWNLOADS), 29),
            (np.ascontiguousarray(astronaut()[:, ::-1]), 1),
        ):
            seen = compare(peer, booted.path, photo)
            assert seen.faces == faces
            assert seen.are_kept(), seen


def test_too_great_a_difference_is_seen() -> None:
    kept = {"faces": 1, "pixels": 0.5, "score": 1e-3, "cosine": 0.9999, "latent": 0.0, "levels": 2}
    assert Differences(**kept).are_kept()  # type: ignore[arg-type]
    for name, value in {"pixels": 0.6, "score": 2e-3, "cosine": 0.999, "latent": 1e-3, "levels": 3}.items():
        assert not Differences(**{**kept, name: value}).are_kept()  # type: ignore[arg-type]
