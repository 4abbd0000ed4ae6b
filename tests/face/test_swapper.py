"""Every face becomes the source's, by the embedder's own measure, and everything else keeps its bits."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from morphstream.artifact.errors import NoEngineError, NoFaceError, SessionError
from morphstream.face.geometry import align
from morphstream.face.mask import FACE_REGIONS, REGIONS, Masks
from morphstream.face.swap import TEMPLATE
from morphstream.face.swapper import FaceSwapper, Landmarker
from morphstream.face.types import Face, Identity
from morphstream.frame import Frame
from morphstream.machine.probe import Machine
from morphstream.session.session import Array, Session
from morphstream.store.store import CURRENT, Store
from stages.kit.mean_face import outline, place
from stages.kit.swapper import emap
from tests.face import ASTRONAUT, CANVAS, Answer, PlayedSession, identity_of, near, noise, scrfd_outputs

FACES_AT_LEAST = 25
GAIN_AT_LEAST = 0.5
SWAP_MODELS = ("inswapper_128_fp16", "hyperswap_1a_256")
GPU = Machine(arch="x86_64", gpu_archs=("sm89",), libraries={"tensorrt_rtx": "1.7.1", "onnxruntime": "1.31.1"})


def changed(first: Frame, second: Frame) -> npt.NDArray[np.bool_]:
    return np.asarray((first != second).any(axis=2))


def around(faces: list[Face], frame: Frame) -> npt.NDArray[np.bool_]:
    """Return where the mean faces are, a quarter larger than they are, so that what is left is hair and all else."""
    canvas = np.zeros(frame.shape[:2], np.uint8)
    wider = outline().mean(0) + 1.25 * (outline() - outline().mean(0))
    for face in faces:
        inverse = np.asarray(cv2.invertAffineTransform(align(face.points5, TEMPLATE, 1)), np.float64)
        points = place(wider, inverse)
        cv2.fillConvexPoly(canvas, np.rint(points).astype(np.int32), 1)
    return canvas > 0


@pytest.fixture(scope="module")
def source(swapper: FaceSwapper, astronaut: Frame) -> Identity:
    return swapper.identify(astronaut)


@pytest.mark.parametrize("swap_model", SWAP_MODELS)
def test_the_group_becomes_the_astronaut_and_hair_collars_and_the_rest_stay(
    booted: Store, astronaut: Frame, group: Frame, swap_model: str
) -> None:
    before = group.copy()
    with FaceSwapper.open(booted, swap_model=swap_model, threads=1) as swapper:
        identity, faces = swapper.identify(astronaut), swapper.detect(group)
        swapped = swapper.swap(group, identity, faces)
        found = swapper.detect(swapped)
        gains = [
            swapper.identify(swapped, near(face, found)).similarity(identity)
            - swapper.identify(group, face).similarity(identity)
            for face in faces
        ]
    assert sum(gain >= GAIN_AT_LEAST for gain in gains) >= FACES_AT_LEAST
    np.testing.assert_array_equal(group, before)
    is_face = around(faces, group)
    np.testing.assert_array_equal(swapped[~is_face], group[~is_face])
    assert changed(swapped, group)[is_face].mean() > 0.25


def test_faces_are_detected_where_none_are_given(swapper: FaceSwapper, source: Identity, group: Frame) -> None:
    part = group[600:1100, 900:1900]
    faces = swapper.detect(part)
    assert faces
    np.testing.assert_array_equal(swapper.swap(part, source), swapper.swap(part, source, faces))


def test_the_same_swap_gives_the_same_bits(swapper: FaceSwapper, source: Identity, astronaut: Frame) -> None:
    np.testing.assert_array_equal(swapper.swap(astronaut, source), swapper.swap(astronaut, source))


def test_a_mapping_swaps_the_faces_that_it_names(
    swapper: FaceSwapper, source: Identity, group: Frame, group_faces: list[Face]
) -> None:
    other = swapper.identify(group, group_faces[5])
    swapped = swapper.swap(group, {0: source, 3: other}, group_faces)
    for index, identity in ((0, source), (3, other)):
        here = around([group_faces[index]], group)
        alone = swapper.swap(group, {index: identity}, group_faces)
        np.testing.assert_array_equal(swapped[here], alone[here])
        assert changed(alone, group).any()
        assert not changed(alone, group)[~here].any()
        gained = swapper.identify(swapped, group_faces[index]).similarity(identity)
        assert gained > swapper.identify(group, group_faces[index]).similarity(identity) + GAIN_AT_LEAST


@pytest.mark.parametrize("faces", [None, []], ids=["detected", "given"])
def test_a_frame_without_faces_comes_back_as_an_equal_copy(
    swapper: FaceSwapper, source: Identity, faces: list[Face] | None
) -> None:
    frame = np.full((200, 300, 3), 90, np.uint8)
    swapped = swapper.swap(frame, source, faces)
    np.testing.assert_array_equal(swapped, frame)
    assert not np.shares_memory(swapped, frame)


def test_an_empty_mapping_changes_nothing(swapper: FaceSwapper, astronaut: Frame) -> None:
    np.testing.assert_array_equal(swapper.swap(astronaut, {}, [ASTRONAUT]), astronaut)


def test_a_face_that_is_cut_off_by_the_frame_is_swapped(swapper: FaceSwapper, astronaut: Frame) -> None:
    cut = astronaut[:, 215:]  # through the left eye
    half = Face(box_xyxy=ASTRONAUT.box_xyxy, points5=ASTRONAUT.points5 - [215, 0], score=1)
    swapped = swapper.swap(cut, identity_of(np.random.default_rng(0).standard_normal(400)), [half])
    assert changed(swapped, cut).any()
    assert not changed(swapped, cut)[~around([half], cut)].any()


def test_a_picture_without_a_face_identifies_nobody(swapper: FaceSwapper) -> None:
    with pytest.raises(NoFaceError, match="expected a face to identify, seen none"):
        swapper.identify(np.full((200, 300, 3), 90, np.uint8))


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        pytest.param(np.zeros((200, 300, 3), np.float32), TypeError, id="floats"),
        pytest.param(np.zeros((200, 300), np.uint8), ValueError, id="grey"),
        pytest.param(np.zeros((200, 300, 4), np.uint8), ValueError, id="with alpha"),
    ],
)
def test_what_is_no_frame_is_refused_whether_faces_are_given_or_not(
    swapper: FaceSwapper, source: Identity, frame: Frame, error: type[Exception]
) -> None:
    for faces in (None, [], [ASTRONAUT]):
        with pytest.raises(error, match="expected a"):
            swapper.swap(frame, source, faces)
    for face in (None, ASTRONAUT):
        with pytest.raises(error, match="expected a"):
            swapper.identify(frame, face)


def test_an_unknown_swap_model_is_refused_with_those_that_are_held(booted: Store) -> None:
    with pytest.raises(NoEngineError, match=r"^inswapper_512: expected an engine, seen those of .*hyperswap_1a_256, i"):
        FaceSwapper.open(booted, swap_model="inswapper_512")


def test_a_model_that_does_not_swap_is_refused(booted: Store) -> None:
    with pytest.raises(SessionError, match="expected a swap model"):
        FaceSwapper.open(booted, swap_model="det_10g")


def test_an_empty_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoEngineError, match="run: morphstream boot"):
        FaceSwapper.open(tmp_path)


def test_a_store_of_another_arch_is_refused(booted: Store, booted_for_gpu: Store) -> None:
    with pytest.raises(NoEngineError, match="expected arch sm89, seen x86_64"):
        FaceSwapper.open(booted_for_gpu, machine=Machine(arch="x86_64", gpu_archs=(), libraries={}))
    with pytest.raises(NoEngineError, match="expected arch x86_64, seen aarch64"):
        FaceSwapper.open(booted, machine=Machine(arch="aarch64", gpu_archs=(), libraries={}))


def test_an_engine_that_cannot_be_opened_is_refused_with_what_to_do(booted_for_gpu: Store) -> None:
    with pytest.raises(SessionError, match=r"^det_10g: expected an engine .*run: morphstream boot --target cpu$"):
        FaceSwapper.open(booted_for_gpu, swap_model="det_10g", machine=GPU)


SMALL, LARGE = (8, 18, 0.9, [1.0, 1, 1, 1]), (16, 20, 0.6, [1.0, 1, 1, 1])
NOBODY = PlayedSession({}, lambda _: {})


def swapper_of(swap: PlayedSession, mask: PlayedSession, embedder: PlayedSession = NOBODY) -> FaceSwapper:
    """Return a swapper of played sessions that finds two faces, the smaller one surer, in every frame."""
    finder = PlayedSession({"frame": (1, CANVAS, CANVAS, 3)}, lambda _: scrfd_outputs(SMALL, LARGE))
    sessions = {"det_10g": finder, "w600k_r50": embedder, "inswapper_128": swap}
    return FaceSwapper(lambda name: sessions.get(name, mask), "inswapper_128", None)


def echo(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    return {"swapped": 255 - inputs["crop"]}


def visible(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    return {"mask": np.ones((len(inputs["crop"]), 128, 128, 1), np.float32)}


def broken(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    raise SessionError("model.xml: expected numbers in mask, seen NaN or infinity")


SWAP_SHAPES = {"crop": (1, 128, 128, 3), "source": (1, 512)}
MASK_SHAPES = {"crop": (1, 128, 128, 3)}


@pytest.mark.parametrize(("swap", "mask"), [(broken, visible), (echo, broken)], ids=["the swap model", "the occluder"])
def test_a_model_that_gives_no_numbers_is_refused_and_the_frame_stays(swap: Answer, mask: Answer) -> None:
    swapper = swapper_of(PlayedSession(SWAP_SHAPES, swap), PlayedSession(MASK_SHAPES, mask))
    frame = noise(300, 300)
    before = frame.copy()
    with pytest.raises(SessionError, match="seen NaN"):
        swapper.swap(frame, identity_of([1]), [ASTRONAUT])
    np.testing.assert_array_equal(frame, before)


def test_the_largest_face_is_identified_and_not_the_surest() -> None:
    embedder = PlayedSession({}, lambda _: {"embedding": np.ones((1, 512), np.float32)})
    swapper = swapper_of(PlayedSession(SWAP_SHAPES, echo), PlayedSession(MASK_SHAPES, visible), embedder)
    small, large = swapper.detect(frame := noise(CANVAS, CANVAS))
    assert small.area < large.area
    for face in (None, large, small):
        swapper.identify(frame, face)
    by_default, of_large, of_small = (given["crop"] for given in embedder.given)
    np.testing.assert_array_equal(by_default, of_large)
    assert (of_large != of_small).any()


def test_a_crops_border_is_never_seen() -> None:
    swapper = swapper_of(PlayedSession(SWAP_SHAPES, echo), PlayedSession(MASK_SHAPES, visible))
    frame = np.full((300, 300, 3), 10, np.uint8)
    upright = Face(box_xyxy=ASTRONAUT.box_xyxy, points5=TEMPLATE * 128 + [50, 60], score=1)
    swapped = swapper.swap(frame, identity_of([1]), [upright])[60:188, 50:178, 0]
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
    upright = Face(box_xyxy=ASTRONAUT.box_xyxy, points5=TEMPLATE * 128 + [50, 60], score=1)
    swaps = [PlayedSession(SWAP_SHAPES, echo), PlayedSession(SWAP_SHAPES, masked)]
    plain, lower = (
        swapper_of(swap, PlayedSession(MASK_SHAPES, visible)).swap(frame, identity_of([1]), [upright]) for swap in swaps
    )
    np.testing.assert_array_equal(lower[124:], plain[124:])
    np.testing.assert_array_equal(lower[:124], frame[:124])
    assert changed(plain, frame)[:124].any()


def test_crops_are_cut_from_the_frame_as_it_was(source: Identity) -> None:
    swap = PlayedSession(SWAP_SHAPES, echo)
    swapper = swapper_of(swap, PlayedSession(MASK_SHAPES, visible))
    swapper.swap(noise(300, 300), source, [ASTRONAUT, ASTRONAUT])
    (given,) = swap.given
    np.testing.assert_array_equal(given["crop"][0], given["crop"][1])


def test_a_swapper_can_be_closed_twice_and_lets_its_engines_go_once(own_store: Store) -> None:
    with FaceSwapper.open(own_store, threads=1) as swapper:
        (own_store.path / CURRENT).unlink()
        assert own_store.clean()  # what is held stays
        swapper.close()
        assert not own_store.clean()
    assert not list((own_store.path / "caches").iterdir())


def test_another_model_swaps_from_now_on_and_one_that_cannot_be_opened_changes_nothing(
    own_store: Store, astronaut: Frame
) -> None:
    models = ("inswapper_128", "hyperswap_1a_256")
    expected = []
    for model in models:
        with FaceSwapper.open(own_store, swap_model=model, threads=1) as swapper:
            face = swapper.detect(astronaut)[:1]
            source = swapper.identify(astronaut)
            expected.append(swapper.swap(astronaut, source, face))
    with FaceSwapper.open(own_store, swap_model=models[0], threads=1) as swapper:
        for model, frame in zip((*models, *models), (*expected, *expected), strict=True):
            swapper.use(model)
            assert swapper.swap_model == model
            np.testing.assert_array_equal(swapper.swap(astronaut, source, face), frame)
            for odd in ("inswapper_129", "det_10g"):
                with pytest.raises((NoEngineError, SessionError)):
                    swapper.use(odd)
        assert own_store.usage.order(models) == [*models]
        (own_store.path / CURRENT).unlink()
        assert len(own_store.clean()) == 1
    assert own_store.clean() == ()


def test_a_swapper_put_together_otherwise_has_no_store_to_take_another_model_from(
    open_kit: Callable[[str], Session],
) -> None:
    with pytest.raises(RuntimeError, match="expected a swapper open on a store"):
        kit_swapper(open_kit).use("inswapper_128")


def kit_swapper(open_kit: Callable[[str], Session], asked: list[str] | None = None, **options: Any) -> FaceSwapper:
    """Return a swapper of the kit's models; notes which are opened."""

    def opened(name: str) -> Session:
        if asked is not None:
            asked.append(name)
        return open_kit(name)

    return FaceSwapper(opened, "hyperswap_1a_256", None, **options)


def test_masks_are_chosen_by_call_and_their_models_opened_once(
    open_kit: Callable[[str], Session], source: Identity, astronaut: Frame
) -> None:
    asked: list[str] = []
    swapper = kit_swapper(open_kit, asked)
    identity = identity_of(np.random.default_rng(0).standard_normal(400))
    assert asked == ["det_10g", "w600k_r50", "hyperswap_1a_256", "xseg_1"]

    def swapped_by(masks: Masks | None) -> npt.NDArray[np.bool_]:
        return changed(swapper.swap(astronaut, identity, [ASTRONAUT], masks=masks), astronaut)

    usual, bare = swapped_by(None), swapped_by(Masks(occluder=None, own=False))
    many, lips = swapped_by(Masks(occluder="many")), swapped_by(Masks(regions=frozenset({"upper_lip", "lower_lip"})))
    swapped_by(Masks(occluder="xseg_3", regions=FACE_REGIONS))
    assert asked[4:] == ["xseg_2", "xseg_3", "bisenet_resnet_34"]
    assert bare.sum() > usual.sum() >= many.sum() > 10 * lips.sum() > 0
    assert not lips[~usual].any()


def test_masks_are_multiplied() -> None:
    half = PlayedSession(MASK_SHAPES, lambda _: {"mask": np.full((1, 128, 128, 1), 0.75, np.float32)})
    labels = np.zeros((1, 128, 128), np.uint8)
    labels[:, :, :64] = REGIONS["nose"]
    sessions = {
        "det_10g": PlayedSession({"frame": (1, CANVAS, CANVAS, 3)}, lambda _: scrfd_outputs()),
        "w600k_r50": NOBODY,
        "swap": PlayedSession(SWAP_SHAPES, lambda inputs: {"swapped": np.full_like(inputs["crop"], 200)}),
        "xseg_1": half,
        "bisenet_resnet_34": PlayedSession(MASK_SHAPES, lambda _: {"labels": labels}),
    }
    frame = np.full((128, 128, 3), 100, np.uint8)
    face = Face(box_xyxy=ASTRONAUT.box_xyxy, points5=TEMPLATE * 128, score=1)
    masks = Masks(feather=0, regions=frozenset({"nose"}))
    swapped = FaceSwapper(sessions.__getitem__, "swap", None).swap(frame, identity_of([1]), [face], masks=masks)
    assert np.all(np.abs(swapped[:, :40].astype(int) - 150) <= 1)  # half of it: 0.75 with contrast
    assert np.all(swapped[:, 66:] == 100)


def test_a_face_is_restored_after_the_swap(open_kit: Callable[[str], Session], astronaut: Frame) -> None:
    identity = identity_of(np.random.default_rng(0).standard_normal(400))
    plain, restored = (
        kit_swapper(open_kit, restorer=restorer).swap(astronaut, identity, [ASTRONAUT]) for restorer in (None, "gfpgan")
    )
    assert changed(plain, restored).any()
    assert not changed(plain, restored)[~around([ASTRONAUT], astronaut)].any()


@pytest.mark.parametrize("landmarker", ["fan_68_5", "2dfan4"])
def test_a_landmarker_gives_detected_faces_68_points(
    open_kit: Callable[[str], Session], astronaut: Frame, landmarker: Landmarker
) -> None:
    (face,) = kit_swapper(open_kit, landmarker=landmarker).detect(astronaut)
    assert face.points68 is not None
    assert (np.abs(face.points5 - ASTRONAUT.points5).max() > 1) == (landmarker == "2dfan4")


@pytest.mark.parametrize("pixel_boost", [256, 384, 512])
def test_pixel_boost_swaps_at_more_pixels(
    open_kit: Callable[[str], Session], astronaut: Frame, pixel_boost: int
) -> None:
    swapper = FaceSwapper(open_kit, "inswapper_128", emap().astype(np.float32))
    identity = identity_of(np.random.default_rng(0).standard_normal(400))
    swapped = swapper.swap(astronaut, identity, [ASTRONAUT], pixel_boost=pixel_boost)
    gained = swapper.identify(swapped, ASTRONAUT).similarity(identity)
    assert gained > swapper.identify(astronaut, ASTRONAUT).similarity(identity) + 0.3
    with pytest.raises(ValueError, match="expected crops of a multiple of 128 pixels, seen 300"):
        swapper.swap(astronaut, identity, [ASTRONAUT], pixel_boost=300)


def test_several_faces_are_one_call_of_each_model_and_the_same_on_several_threads(
    group: Frame, group_faces: list[Face]
) -> None:
    swap, mask = PlayedSession(SWAP_SHAPES, echo), PlayedSession(MASK_SHAPES, visible)
    sessions = {"det_10g": PlayedSession({"frame": (1, 64, 64, 3)}, lambda _: scrfd_outputs()), "swap": swap}
    one, two = (
        FaceSwapper(lambda name: sessions.get(name, mask), "swap", None, threads=threads).swap(
            group, identity_of([1]), group_faces[:8]
        )
        for threads in (1, 2)
    )
    np.testing.assert_array_equal(one, two)
    for session, name in ((swap, "crop"), (swap, "source"), (mask, "crop")):
        assert [len(given[name]) for given in session.given] == [8, 8]


def test_faces_that_overlap_are_pasted_in_their_order() -> None:
    level = iter([50, 200])

    def flat(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        rows = [np.full((128, 128, 3), next(level), np.uint8) for _ in inputs["crop"]]
        return {"swapped": np.stack(rows)}

    frame = np.full((300, 300, 3), 100, np.uint8)
    upright = Face(box_xyxy=ASTRONAUT.box_xyxy, points5=TEMPLATE * 128 + [50, 60], score=1)
    swapper = swapper_of(PlayedSession(SWAP_SHAPES, flat), PlayedSession(MASK_SHAPES, visible))
    assert swapper.swap(frame, identity_of([1]), [upright, upright])[124, 114, 0] == 200
