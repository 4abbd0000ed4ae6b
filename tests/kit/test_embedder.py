"""The embedder keeps its contract, tells people apart and knows a face again when its light or place changes."""

import numpy as np

from morphstream.face.geometry import ARCFACE_112_V2
from stages.kit.embedder import w600k_r50
from tests.kit import Array, contract, crop, planes, run, serialized


def face() -> Array:
    return planes(crop(ARCFACE_112_V2, 112)) * 2 - 1


def embedding(pixels: Array) -> Array:
    vector = run(w600k_r50(), pixels)[0][0]
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def test_the_contract_is_the_real_model_s() -> None:
    assert contract(w600k_r50()) == ({"input.1": ["N", 3, 112, 112]}, {"683": ["N", 512]})


def test_two_builds_have_the_same_bytes() -> None:
    assert serialized(w600k_r50()) == serialized(w600k_r50())


def test_a_darker_flatter_or_unevenly_lit_face_is_the_same_person() -> None:
    same = embedding(face())
    slope = np.linspace(-0.2, 0.2, 112, dtype=np.float32)[None, None, None]
    for altered in (face() * 0.6 - 0.2, face() * 1.2, face() + slope):
        assert same @ embedding(altered) > 0.9


def test_a_face_that_is_a_pixel_off_is_the_same_person() -> None:
    assert embedding(face()) @ embedding(np.roll(face(), 1, axis=3)) > 0.8


def test_an_image_without_a_face_is_somebody_else() -> None:
    noise = np.random.default_rng(1).uniform(-1, 1, (1, 3, 112, 112)).astype(np.float32)
    assert embedding(face()) @ embedding(noise) < 0.4


def test_an_even_image_has_a_finite_embedding() -> None:
    assert np.isfinite(run(w600k_r50(), np.full((2, 3, 112, 112), 0.5))[0]).all()
