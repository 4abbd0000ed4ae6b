"""A swap model is given the source as it was trained on it, and what it gives is the caller's own."""

import numpy as np
import numpy.typing as npt
import pytest

from morphstream.artifact.errors import SessionError
from morphstream.face.geometry import align, cut_crop
from morphstream.face.mask import own_mask
from morphstream.face.swap import TEMPLATE, Swapper, join_phases, split_phases
from morphstream.frame import Frame
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
    assert latent.shape == (512,)
    assert latent.dtype == np.float32
    np.testing.assert_allclose(latent, unit(unit(numbers) @ emap), atol=1e-6)
    assert not np.allclose(latent[0], unit(emap @ unit(numbers)), atol=1e-2)  # nor through its transpose


def test_hyperswaps_latent_is_the_embedding() -> None:
    numbers = np.random.default_rng(0).standard_normal(512)
    latent = Swapper(player(), None).latent(identity_of(numbers))
    assert latent.shape == (512,)
    assert latent.dtype == np.float32
    np.testing.assert_allclose(latent, unit(numbers), atol=1e-6)


def test_an_identity_is_left_as_it_was() -> None:
    identity = identity_of([3, 4])
    Swapper(player(), None).latent(identity).fill(0)
    assert identity.similarity(identity) == pytest.approx(1)


def test_the_session_is_given_crop_and_latent() -> None:
    session = player(swapped=noise(SIDE, SIDE)[None])
    swapper = Swapper(session, None)
    latent = swapper.latent(identity_of([1, 2, 3]))
    swapper.swap(crops := noise(SIDE, SIDE, seed=1)[None], [latent])
    assert swapper.side == SIDE
    (given,) = session.given
    np.testing.assert_array_equal(given["crop"], crops)
    np.testing.assert_array_equal(given["source"], latent[None])


def test_swapped_crops_outlive_the_next_run() -> None:
    session = player(swapped=(raw := noise(SIDE, SIDE)[None]))
    swapper, expected = Swapper(session, None), raw.copy()
    swapped = swapper.swap(noise(SIDE, SIDE, seed=1)[None], [swapper.latent(identity_of([1]))])
    raw.fill(0)
    np.testing.assert_array_equal(swapped, expected)


@pytest.mark.parametrize("times", [2, 3, 4])
def test_a_boosted_crop_is_every_kth_pixel_in_one_call_with_its_own_source(times: int) -> None:
    session = PlayedSession(SHAPES, lambda inputs: {"swapped": 255 - inputs["crop"]})
    swapper = Swapper(session, None)
    crops = np.stack([noise(SIDE * times, SIDE * times, seed) for seed in (1, 2)])
    latents = [swapper.latent(identity_of(numbers)) for numbers in ([1], [0, 1])]
    np.testing.assert_array_equal(swapper.swap(crops, latents), 255 - crops)
    (given,) = session.given
    assert given["crop"].shape == (2 * times * times, SIDE, SIDE, 3)
    for place, (phase, source) in enumerate(zip(given["crop"], given["source"], strict=True)):
        crop, rest = divmod(place, times * times)
        row, column = divmod(rest, times)
        np.testing.assert_array_equal(phase, crops[crop, row::times, column::times])
        np.testing.assert_array_equal(source, latents[crop])


@pytest.mark.parametrize("channels", [3, 4])
def test_phases_are_put_together_as_they_were_taken_apart(channels: int) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (3, 24, 24, channels), np.uint8)
    np.testing.assert_array_equal(join_phases(split_phases(crops, 3), 3), crops)


@pytest.mark.parametrize("side", [SIDE - 1, SIDE + 1, 3 * SIDE // 2, 1])
def test_a_crop_of_no_multiple_of_the_models_side_is_refused(side: int) -> None:
    swapper = Swapper(player(), None)
    with pytest.raises(ValueError, match=f"expected crops of a multiple of 16 pixels, seen {side}"):
        swapper.swap(noise(side, side)[None], [swapper.latent(identity_of([1]))])


@pytest.mark.parametrize("level", [0, 255])
def test_one_colour_everywhere_is_what_nan_becomes_and_is_refused(level: int) -> None:
    swapper = Swapper(player(swapped=np.full((1, SIDE, SIDE, 3), level, np.uint8)), None)
    latent = swapper.latent(identity_of([1]))
    with pytest.raises(SessionError, match=f"expected a picture, seen {level} everywhere"):
        swapper.swap(noise(SIDE, SIDE)[None], [latent])
    swapper.swap(np.full((1, SIDE, SIDE, 3), 7, np.uint8), [latent])  # a crop of one colour may stay one


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
    (swapped,) = swapper.swap(crop[None], [swapper.latent(identity)])
    np.testing.assert_array_equal(crop, before)
    assert swapped.shape == (side, side, 3 if has_emap else 4)
    assert swapped.dtype == np.uint8
    difference = np.abs(swapped[..., :3].astype(int) - crop).max(axis=2)
    middle = slice(3 * side // 8, 5 * side // 8)
    assert difference[middle, middle].mean() > 5
    assert difference[: side // 8].max() <= 1
    if not has_emap:
        assert not own_mask(swapped)[: side // 8].any()
        assert own_mask(swapped)[middle, middle].min() > 0.5


@pytest.mark.parametrize("model", ["det_10g", "w600k_r50", "xseg_1"])
def test_a_model_that_does_not_swap_is_refused(booted: Store, model: str) -> None:
    session = open_session(booted.current(), model, threads=1)
    with pytest.raises(SessionError, match="expected a swap model with inputs crop and source, seen"):
        Swapper(session, None)
    session.close()
