"""A swap model is given the source as it was trained on it, and what it gives is the caller's own."""

import numpy as np
import numpy.typing as npt
import pytest

from morphstream.artifact.errors import SessionError
from morphstream.face.geometry import align, cut_crop
from morphstream.face.swap import TEMPLATE, Swapper
from morphstream.face.types import Frame
from morphstream.session.load import load_emap, open_session
from morphstream.session.session import Array
from morphstream.store.store import Store
from tests.face import ASTRONAUT, PlayedSession, identity_of, noise

SIDE = 16
SHAPES = {"crop": (1, SIDE, SIDE, 3), "source": (1, 512)}


def unit(vector: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return vector / np.linalg.norm(vector)


def player(**answer: Array) -> PlayedSession:
    return PlayedSession(SHAPES, lambda _: answer)


def test_inswappers_latent_is_the_embedding_through_emap_at_length_1() -> None:
    numbers = np.random.default_rng(0).standard_normal(512)
    emap = np.random.default_rng(1).standard_normal((512, 512)).astype(np.float32)
    latent = Swapper(player(), emap).latent(identity_of(numbers))
    assert latent.shape == (1, 512)
    assert latent.dtype == np.float32
    np.testing.assert_allclose(latent[0], unit(unit(numbers) @ emap), atol=1e-6)
    assert not np.allclose(latent[0], unit(emap @ unit(numbers)), atol=1e-2)  # nor through its transpose


def test_hyperswaps_latent_is_the_embedding() -> None:
    numbers = np.random.default_rng(0).standard_normal(512)
    latent = Swapper(player(), None).latent(identity_of(numbers))
    assert latent.shape == (1, 512)
    assert latent.dtype == np.float32
    np.testing.assert_allclose(latent[0], unit(numbers), atol=1e-6)


def test_an_identity_is_left_as_it_was() -> None:
    identity = identity_of([3, 4])
    Swapper(player(), None).latent(identity).fill(0)
    assert identity.similarity(identity) == pytest.approx(1)


def test_the_session_is_given_crop_and_latent() -> None:
    session = player(swapped=noise(SIDE, SIDE)[None])
    swapper = Swapper(session, None)
    latent = swapper.latent(identity_of([1, 2, 3]))
    swapper.swap(crop := noise(SIDE, SIDE, seed=1), latent)
    assert swapper.side == SIDE
    (given,) = session.given
    np.testing.assert_array_equal(given["crop"], crop[None])
    np.testing.assert_array_equal(given["source"], latent)


def test_a_swapped_crop_and_its_mask_outlive_the_next_run() -> None:
    crop, mask = noise(SIDE, SIDE), noise(SIDE, SIDE, seed=1)[..., :1]
    session = player(swapped=(raw := np.concatenate([crop, mask], axis=2)[None]))
    swapper = Swapper(session, None)
    swapped, model_mask = swapper.swap(crop, swapper.latent(identity_of([1])))
    raw.fill(0)
    assert model_mask is not None
    np.testing.assert_array_equal(swapped, crop)
    np.testing.assert_allclose(model_mask, mask[..., 0] / 255, atol=1e-6)


def test_a_model_without_a_mask_gives_none() -> None:
    swapper = Swapper(player(swapped=noise(SIDE, SIDE)[None]), None)
    _, mask = swapper.swap(noise(SIDE, SIDE), swapper.latent(identity_of([1])))
    assert mask is None


@pytest.mark.parametrize(
    ("model", "side", "has_emap"),
    [("inswapper_128", 128, True), ("inswapper_128_fp16", 128, True), ("hyperswap_1a_256", 256, False)],
)
def test_a_real_swap_changes_the_face_and_keeps_the_border(
    booted: Store, astronaut: Frame, model: str, side: int, *, has_emap: bool
) -> None:
    installed = booted.current()
    emap = load_emap(installed, model)
    assert (emap is not None) == has_emap
    swapper = Swapper(open_session(installed, model, threads=1), emap)
    assert swapper.side == side
    crop = cut_crop(astronaut, align(ASTRONAUT.points5, TEMPLATE, side), side)
    before = crop.copy()
    identity = identity_of(np.random.default_rng(0).standard_normal(400))
    swapped, mask = swapper.swap(crop, swapper.latent(identity))
    np.testing.assert_array_equal(crop, before)
    assert swapped.shape == (side, side, 3)
    assert swapped.dtype == np.uint8
    difference = np.abs(swapped.astype(int) - crop).max(axis=2)
    middle = slice(3 * side // 8, 5 * side // 8)
    assert difference[middle, middle].mean() > 5
    assert difference[: side // 8].max() <= 1
    assert (mask is None) == has_emap
    if mask is not None:
        assert mask.shape == (side, side)
        assert mask.dtype == np.float32
        assert not mask[: side // 8].any()


@pytest.mark.parametrize("model", ["det_10g", "w600k_r50", "xseg_1"])
def test_a_model_that_does_not_swap_is_refused(booted: Store, model: str) -> None:
    session = open_session(booted.current(), model, threads=1)
    with pytest.raises(SessionError, match="expected a swap model, which takes crop and source, seen one that takes"):
        Swapper(session, None)
    session.close()
