"""A frame's faces are swapped as their look says, each model running once, and everything else keeps its bits."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from morphstream.artifact.errors import SessionError
from morphstream.face.embed import DirectArcFace
from morphstream.face.look import FACE_REGIONS, REGIONS, Look
from morphstream.face.mask import SteadyMasks
from morphstream.face.swap import TEMPLATE, Swapper
from morphstream.face.swapper import FaceSwapper
from morphstream.face.types import Face, FoundFaces
from morphstream.frame import Frame
from morphstream.session.session import Array, Session
from stages.kit.swapper import emap
from tests.face import (
    ASTRONAUT,
    MASK_SHAPES,
    SWAP_SHAPES,
    UPRIGHT,
    Answer,
    PlayedSession,
    around,
    changed,
    echo,
    found,
    identity_of,
    noise,
    visible,
)

SOMEBODY = identity_of(np.random.default_rng(0).standard_normal(400))


def swapper_of(swap: PlayedSession, mask: PlayedSession) -> FaceSwapper:
    """Return a swapper of sessions without engines; one is every mask's."""
    return FaceSwapper(lambda _: mask, Swapper(swap, None))


def kit_swapper(open_kit: Callable[[str], Session], asked: list[str]) -> FaceSwapper:
    """Return a swapper of the kit's models; notes which are opened beside the swap model."""

    @cache
    def opened(name: str) -> Session:
        asked.append(name)
        return open_kit(name)

    return FaceSwapper(opened, Swapper(open_kit("hyperswap_1a_256"), None))


def broken(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    raise SessionError("model.xml: expected numbers in mask, seen NaN or infinity")


@pytest.mark.parametrize(("swap", "mask"), [(broken, visible), (echo, broken)], ids=["the swap model", "the occluder"])
def test_a_model_that_gives_no_numbers_is_refused_and_the_frame_stays(swap: Answer, mask: Answer) -> None:
    swapper = swapper_of(PlayedSession(SWAP_SHAPES, swap), PlayedSession(MASK_SHAPES, mask))
    frame = noise(300, 300)
    before = frame.copy()
    with pytest.raises(SessionError, match="seen NaN"):
        swapper.swap(found(frame, SOMEBODY, ASTRONAUT))
    np.testing.assert_array_equal(frame, before)


def test_a_crops_border_is_never_seen() -> None:
    swapper = swapper_of(PlayedSession(SWAP_SHAPES, echo), PlayedSession(MASK_SHAPES, visible))
    frame = np.full((300, 300, 3), 10, np.uint8)
    swapped = swapper.swap(found(frame, SOMEBODY, UPRIGHT))[60:188, 50:178, 0]
    assert swapped[64, 64] == 245
    assert np.all(np.diff(swapped[64].astype(int), prepend=10)[:64] >= 0)
    assert np.abs(np.diff(swapped.astype(int), axis=1)).max() < 40  # it fades
    for border in (swapped[0], swapped[-1], swapped[:, 0], swapped[:, -1]):
        assert np.all(border == 10)


def test_a_models_own_mask_counts_too() -> None:
    def masked(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        mask = np.zeros((len(inputs["crop"]), 128, 128, 1), np.uint8)
        mask[:, 64:] = 255
        return {"swapped": np.concatenate([echo(inputs)["swapped"], mask], axis=3)}

    frame = noise(300, 300)
    swaps = [PlayedSession(SWAP_SHAPES, echo), PlayedSession(SWAP_SHAPES, masked)]
    plain, lower = (
        swapper_of(swap, PlayedSession(MASK_SHAPES, visible)).swap(found(frame, SOMEBODY, UPRIGHT)) for swap in swaps
    )
    np.testing.assert_array_equal(lower[124:], plain[124:])
    np.testing.assert_array_equal(lower[:124], frame[:124])
    assert changed(plain, frame)[:124].any()


def test_crops_are_cut_from_the_frame_as_it_was() -> None:
    swap = PlayedSession(SWAP_SHAPES, echo)
    swapper_of(swap, PlayedSession(MASK_SHAPES, visible)).swap(found(noise(300, 300), SOMEBODY, ASTRONAUT, ASTRONAUT))
    (given,) = swap.given
    np.testing.assert_array_equal(given["crop"][0], given["crop"][1])


def test_a_look_is_chosen_by_call_and_opens_the_models_that_it_needs(
    open_kit: Callable[[str], Session], astronaut: Frame
) -> None:
    asked: list[str] = []
    swapper = kit_swapper(open_kit, asked)
    assert asked == []

    def swapped_by(look: Look) -> npt.NDArray[np.bool_]:
        return changed(swapper.swap(found(astronaut, SOMEBODY, ASTRONAUT), look), astronaut)

    usual, bare = swapped_by(Look()), swapped_by(Look(occluder=None, own=False))
    many, lips = swapped_by(Look(occluder="many")), swapped_by(Look(regions=frozenset({"upper_lip", "lower_lip"})))
    swapped_by(Look(occluder="xseg_3", regions=FACE_REGIONS))
    assert asked == ["xseg_1", "xseg_2", "xseg_3", "bisenet_resnet_34"]
    assert bare.sum() > usual.sum() >= many.sum() > 10 * lips.sum() > 0
    assert not lips[~usual].any()


def test_masks_are_multiplied() -> None:
    half = PlayedSession(MASK_SHAPES, lambda _: {"mask": np.full((1, 128, 128, 1), 0.75, np.float32)})
    labels = np.zeros((1, 128, 128), np.uint8)
    labels[:, :, :64] = REGIONS["nose"]
    sessions = {"xseg_1": half, "bisenet_resnet_34": PlayedSession(MASK_SHAPES, lambda _: {"labels": labels})}
    swap = PlayedSession(SWAP_SHAPES, lambda inputs: {"swapped": np.full_like(inputs["crop"], 200)})
    frame = np.full((128, 128, 3), 100, np.uint8)
    face = Face(box_xyxy=ASTRONAUT.box_xyxy, points5=TEMPLATE * 128, score=1)
    look = Look(feather=0, regions=frozenset({"nose"}))
    swapped = FaceSwapper(sessions.__getitem__, Swapper(swap, None)).swap(found(frame, SOMEBODY, face), look)
    assert np.all(np.abs(swapped[:, :40].astype(int) - 150) <= 1)  # half of it: 0.75 with contrast
    assert np.all(swapped[:, 66:] == 100)


def test_a_face_is_restored_after_the_swap(open_kit: Callable[[str], Session], astronaut: Frame) -> None:
    one = found(astronaut, SOMEBODY, ASTRONAUT)
    asked: list[str] = []
    swapper = kit_swapper(open_kit, asked)
    plain, restored = swapper.swap(one), swapper.swap(one, Look(restorer="gfpgan"))
    assert asked == ["xseg_1", "gfpgan"]
    assert changed(plain, restored).any()
    assert not changed(plain, restored)[~around([ASTRONAUT], astronaut)].any()


@pytest.mark.parametrize("pixel_boost", [256, 384, 512])
def test_pixel_boost_swaps_at_more_pixels(
    open_kit: Callable[[str], Session], astronaut: Frame, pixel_boost: int
) -> None:
    swapper = FaceSwapper(open_kit, Swapper(open_kit("inswapper_128"), emap().astype(np.float32)))
    embedder, one = DirectArcFace(open_kit("w600k_r50")), found(astronaut, SOMEBODY, ASTRONAUT)
    swapped = swapper.swap(one, Look(pixel_boost=pixel_boost))
    (before,), (after,) = (embedder.embed(frame, [ASTRONAUT]) for frame in (astronaut, swapped))
    assert after.similarity(SOMEBODY) > before.similarity(SOMEBODY) + 0.3
    with pytest.raises(ValueError, match=r"^swap model: expected crops of a multiple of 128 pixels, seen 300; use "):
        swapper.swap(one, Look(pixel_boost=300))


def test_several_faces_are_one_call_of_each_model_and_the_same_on_several_threads(
    group: Frame, group_faces: list[Face]
) -> None:
    swap, mask = PlayedSession(SWAP_SHAPES, echo), PlayedSession(MASK_SHAPES, visible)
    eight = found(group, SOMEBODY, *group_faces[:8])
    with ThreadPoolExecutor(2) as pool:
        one, two = (
            FaceSwapper(lambda _: mask, Swapper(swap, None), pool=threads).swap(eight) for threads in (None, pool)
        )
    np.testing.assert_array_equal(one, two)
    for session, name in ((swap, "crop"), (swap, "source"), (mask, "crop")):
        assert [len(given[name]) for given in session.given] == [8, 8]


def test_faces_that_overlap_are_pasted_in_their_order_whatever_that_of_the_assignment() -> None:
    frame = np.full((300, 300, 3), 100, np.uint8)
    for order in ((0, 1), (1, 0)):
        level = iter([50, 200])

        def flat(inputs: Mapping[str, Array], level: Any = level) -> Mapping[str, Array]:
            rows = [np.full((128, 128, 3), next(level), np.uint8) for _ in inputs["crop"]]
            return {"swapped": np.stack(rows)}

        swapper = swapper_of(PlayedSession(SWAP_SHAPES, flat), PlayedSession(MASK_SHAPES, visible))
        faces = FoundFaces(frame=frame, faces=[UPRIGHT, UPRIGHT], assignment=dict.fromkeys(order, SOMEBODY))
        assert swapper.swap(faces)[124, 114, 0] == 200


class CountingSwapper(Swapper):
    """A swap model that counts the latents that it makes."""

    made = 0

    def latent(self, identity: Any) -> npt.NDArray[np.float32]:
        """Count and return one."""
        self.made += 1
        return super().latent(identity)


def test_a_latent_is_made_once_for_an_identity_and_a_swap_model() -> None:
    models = [CountingSwapper(PlayedSession(SWAP_SHAPES, echo), None) for _ in range(2)]
    swapper = FaceSwapper(lambda _: PlayedSession(MASK_SHAPES, visible), models[0])
    frame = noise(300, 300)
    for model in models:
        swapper.use(model)
        for numbers in ([1.0], [2.0], [0.0, 1.0], [1.0]):  # two identities, by value
            swapper.swap(found(frame, identity_of(numbers), UPRIGHT, UPRIGHT))
    assert [model.made for model in models] == [2, 2]
    for number in range(200):
        swapper.swap(found(frame, identity_of([1.0, number]), UPRIGHT))
    swapper.swap(found(frame, identity_of([1.0]), UPRIGHT))
    assert models[1].made > 200  # not all are kept


def test_masks_of_tracks_are_smoothed_over_frames_and_those_of_pictures_are_not() -> None:
    edges = iter([62, 64, 62, 64])

    def trembling(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        mask = np.ones((len(inputs["crop"]), 128, 128, 1), np.float32)
        mask[:, :, next(edges) :] = 0
        return {"mask": mask}

    swapper = swapper_of(PlayedSession(SWAP_SHAPES, echo), PlayedSession(MASK_SHAPES, trembling))
    frame, steady = np.full((300, 300, 3), 10, np.uint8), SteadyMasks()
    picture = found(frame, SOMEBODY, UPRIGHT)
    tracked = replace(picture, tracks=[4])

    def move(found: FoundFaces) -> int:
        first, second = (swapper.swap(found, steady=steady).astype(int) for _ in range(2))
        return int(np.abs(second - first).sum())

    assert move(tracked) < move(picture) / 2
    edges = iter([60, 64, 64])
    swapper.swap(tracked, steady=steady)
    swapper.swap(replace(tracked, assignment={}), steady=steady)  # a frame in which nobody is swapped ends the memory
    np.testing.assert_array_equal(swapper.swap(tracked, steady=steady), swapper.swap(picture))
