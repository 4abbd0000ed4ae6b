"""On a booted store every face becomes the source's, by the embedder's own measure; two threads are at two frames."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import morphstream
from morphstream.artifact.errors import NoEngineError, SessionError
from morphstream.face.analyser import FaceAnalyser
from morphstream.face.assign import at, largest, like
from morphstream.face.look import Look
from morphstream.face.swap import Swapper
from morphstream.face.swapper import FaceSwapper
from morphstream.face.types import Face, Identity
from morphstream.frame import Frame
from morphstream.machine.probe import Machine
from morphstream.pipeline import SwapPipeline
from morphstream.session.session import Array
from morphstream.store.store import CURRENT, Store
from tests.face import (
    ASTRONAUT,
    CANVAS,
    MASK_SHAPES,
    SWAP_SHAPES,
    UPRIGHT,
    PlayedSession,
    around,
    changed,
    echo,
    found,
    identity_of,
    near,
    noise,
    scrfd_outputs,
    visible,
)

FACES_AT_LEAST = 25
GAIN_AT_LEAST = 0.5
SWAP_MODELS = ("inswapper_128_fp16", "hyperswap_1a_256")
GPU = Machine(arch="x86_64", gpu_archs=("sm89",), libraries={"tensorrt_rtx": "1.7.1", "onnxruntime": "1.31.1"})


@pytest.mark.parametrize("swap_model", SWAP_MODELS)
def test_the_group_becomes_the_astronaut_and_hair_collars_and_the_rest_stay(
    booted: Store, astronaut: Frame, group: Frame, swap_model: str
) -> None:
    before = group.copy()
    with morphstream.open(booted, swap_model=swap_model, threads=1) as swap:
        identity, faces = swap.identify(astronaut), swap.detect(group)
        swapped = swap(group, identity, faces=faces)
        now = swap.detect(swapped)
        gains = [
            swap.identify(swapped, near(face, now)).similarity(identity)
            - swap.identify(group, face).similarity(identity)
            for face in faces
        ]
    assert sum(gain >= GAIN_AT_LEAST for gain in gains) >= FACES_AT_LEAST
    np.testing.assert_array_equal(group, before)
    is_face = around(faces, group)
    np.testing.assert_array_equal(swapped[~is_face], group[~is_face])
    assert changed(swapped, group)[is_face].mean() > 0.25


def test_faces_are_detected_where_none_are_given(swap: SwapPipeline, source: Identity, group: Frame) -> None:
    part = group[600:1100, 900:1900]
    faces = swap.detect(part)
    assert faces
    np.testing.assert_array_equal(swap(part, source), swap.swap(part, source, faces=faces))


def test_the_same_swap_gives_the_same_bits(
    swap: SwapPipeline, booted: Store, source: Identity, astronaut: Frame
) -> None:
    np.testing.assert_array_equal(swapped := swap(astronaut, source), swap(astronaut, source))
    with morphstream.open(booted, cuda_graph=True) as one_by_one:  # how engines are opened for it
        np.testing.assert_array_equal(one_by_one(astronaut, source), swapped)


def test_a_mapping_swaps_the_faces_that_it_names(
    swap: SwapPipeline, source: Identity, group: Frame, group_faces: list[Face]
) -> None:
    other = swap.identify(group, group_faces[5])
    swapped = swap(group, {0: source, 3: other}, faces=group_faces)
    for index, identity in ((0, source), (3, other)):
        here = around([group_faces[index]], group)
        alone = swap(group, {index: identity}, faces=group_faces)
        np.testing.assert_array_equal(swapped[here], alone[here])
        assert changed(alone, group).any()
        assert not changed(alone, group)[~here].any()
        gained = swap.identify(swapped, group_faces[index]).similarity(identity)
        assert gained > swap.identify(group, group_faces[index]).similarity(identity) + GAIN_AT_LEAST


def test_rules_pick_faces_of_a_real_frame(
    swap: SwapPipeline, source: Identity, group: Frame, group_faces: list[Face]
) -> None:
    reference, other = swap.identify(group, group_faces[7]), identity_of([1])
    seen = swap.analyser.analyse(group, {source: like(reference, 0.9), other: at("left"), reference: largest})
    lefts = [face.box_xyxy[[0, 2]].sum() for face in group_faces]
    areas = [face.area for face in group_faces]
    assert seen.assignment == {7: source, int(np.argmin(lefts)): other, int(np.argmax(areas)): reference}


@pytest.mark.parametrize("faces", [None, []], ids=["detected", "given"])
def test_a_frame_without_faces_comes_back_as_an_equal_copy(
    swap: SwapPipeline, source: Identity, faces: list[Face] | None
) -> None:
    frame = np.full((200, 300, 3), 90, np.uint8)
    swapped = swap(frame, source, faces=faces)
    np.testing.assert_array_equal(swapped, frame)
    assert not np.shares_memory(swapped, frame)


def test_an_empty_mapping_changes_nothing(swap: SwapPipeline, astronaut: Frame) -> None:
    np.testing.assert_array_equal(swap(astronaut, {}, faces=[ASTRONAUT]), astronaut)


def test_a_face_that_is_cut_off_by_the_frame_is_swapped(swap: SwapPipeline, astronaut: Frame) -> None:
    cut = astronaut[:, 215:]  # through the left eye
    half = Face(box_xyxy=ASTRONAUT.box_xyxy, points5=ASTRONAUT.points5 - [215, 0], score=1)
    swapped = swap(cut, identity_of(np.random.default_rng(0).standard_normal(400)), faces=[half])
    assert changed(swapped, cut).any()
    assert not changed(swapped, cut)[~around([half], cut)].any()


def test_a_look_is_that_of_the_pipeline_or_of_the_call(booted: Store, astronaut: Frame, source: Identity) -> None:
    look = Look(feather=0.3, pixel_boost=512)
    with morphstream.open(booted, swap_model="inswapper_128", look=look) as swap:
        usual, by_call = swap(astronaut, source), swap(astronaut, source, look=Look())
    with morphstream.open(booted, swap_model="inswapper_128") as swap:
        np.testing.assert_array_equal(swap(astronaut, source, look=look), usual)
        np.testing.assert_array_equal(swap(astronaut, source), by_call)
    assert changed(usual, by_call).any()


ONE_LOOK = Look(angles=())


@pytest.fixture
def frames(astronaut: Frame, group: Frame) -> list[Frame]:
    """Frames of several sizes, with one face, several and none."""
    mirrored = np.ascontiguousarray(astronaut[:, ::-1])
    return [astronaut, mirrored, group[600:1100, 900:1900], noise(200, 300), astronaut, mirrored] * 3


def test_the_models_of_a_look_are_opened_once(own_store: Store, astronaut: Frame, source: Identity) -> None:
    with morphstream.open(own_store, look=Look(occluder=None)) as swap:
        swapped = swap(astronaut, source, look=Look())
        for path in own_store.current().files_of("xseg_1").values():
            path.unlink()
        np.testing.assert_array_equal(swap(astronaut, source, look=Look()), swapped)


def test_two_threads_at_two_frames_give_the_bytes_of_one_after_the_other(
    booted: Store, frames: list[Frame], source: Identity
) -> None:
    with (
        morphstream.open(booted, swap_model="hyperswap_1a_256", look=ONE_LOOK) as swap,
        ThreadPoolExecutor(1) as finding,
        ThreadPoolExecutor(1) as drawing,
    ):
        expected = [swap(frame, source) for frame in frames]
        analyse, draw = swap.steps(source)
        found = finding.map(analyse, frames)  # runs ahead of what is drawn
        for frame, swapped in zip(expected, drawing.map(draw, found), strict=True):
            np.testing.assert_array_equal(swapped, frame)


def test_a_pipeline_may_be_called_from_any_thread(booted: Store, frames: list[Frame], source: Identity) -> None:
    with morphstream.open(booted, look=ONE_LOOK) as swap, ThreadPoolExecutor(3) as pool:
        expected = [swap(frame, source) for frame in frames]
        for frame, swapped in zip(expected, pool.map(lambda frame: swap(frame, source), frames), strict=True):
            np.testing.assert_array_equal(swapped, frame)


def test_finding_and_swapping_run_at_the_same_time() -> None:
    both_run = threading.Barrier(2, timeout=20)

    def find(_: Mapping[str, Array]) -> Mapping[str, Array]:
        both_run.wait()
        return scrfd_outputs()

    def swap(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        both_run.wait()
        return echo(inputs)

    finder = PlayedSession({"frame": (1, CANVAS, CANVAS, 3)}, find)
    analyser = FaceAnalyser({"det_10g": finder, "w600k_r50": PlayedSession({}, echo)}.__getitem__)
    swap_model = Swapper(PlayedSession(SWAP_SHAPES, swap), None)
    swapper = FaceSwapper(lambda _: PlayedSession(MASK_SHAPES, visible), swap_model)
    with ThreadPoolExecutor(1) as other:
        finding = other.submit(analyser.detect, noise(CANVAS, CANVAS), Look(angles=()))
        swapper.swap(found(noise(300, 300), identity_of([1]), UPRIGHT))
        assert finding.result() == []


def test_an_unknown_swap_model_is_refused_with_those_that_are_held(booted: Store) -> None:
    with pytest.raises(NoEngineError, match=r"^inswapper_512: expected an engine, seen those of .*hyperswap_1a_256, i"):
        morphstream.open(booted, swap_model="inswapper_512")


def test_a_model_that_does_not_swap_is_refused(booted: Store) -> None:
    with pytest.raises(SessionError, match="expected a swap model"):
        morphstream.open(booted, swap_model="det_10g")


@pytest.mark.parametrize(
    ("look", "model"),
    [
        (Look(occluder="xseg_3", landmarker="2dfan4", restorer="gfpgan"), "fan_68_5"),
        (Look(occluder="xseg_3", restorer="gfpgan"), "xseg_3"),
    ],
    ids=["landmarkers first", "then masks"],
)
def test_a_look_that_the_store_has_no_model_for_is_refused_and_the_store_let_go(
    own_store: Store, look: Look, model: str
) -> None:
    with pytest.raises(NoEngineError, match=rf"^{model}: expected an engine, seen those of "):
        morphstream.open(own_store, look=look)
    (own_store.path / CURRENT).unlink()
    assert own_store.clean() == ()


def test_an_empty_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoEngineError, match="run: morphstream boot"):
        morphstream.open(tmp_path)


def test_a_store_of_another_arch_is_refused(booted: Store, booted_for_gpu: Store) -> None:
    with pytest.raises(NoEngineError, match="expected arch sm89, seen x86_64"):
        morphstream.open(booted_for_gpu, machine=Machine(arch="x86_64", gpu_archs=(), libraries={}))
    with pytest.raises(NoEngineError, match="expected arch x86_64, seen aarch64"):
        morphstream.open(booted, machine=Machine(arch="aarch64", gpu_archs=(), libraries={}))


def test_an_engine_that_cannot_be_opened_is_refused_with_what_to_do(booted_for_gpu: Store) -> None:
    with pytest.raises(SessionError, match=r"^det_10g: expected an engine .*run: morphstream boot --target cpu$"):
        morphstream.open(booted_for_gpu, swap_model="det_10g", machine=GPU)


def test_a_pipeline_can_be_closed_twice_and_lets_its_engines_go_once(own_store: Store) -> None:
    with morphstream.open(own_store, threads=1) as swap:
        (own_store.path / CURRENT).unlink()
        assert own_store.clean()  # what is held stays
        swap.close()
        assert not own_store.clean()
        with pytest.raises(RuntimeError, match=r"^pipeline: expected it open, seen it closed; open another"):
            swap.use("inswapper_128")
    assert not list((own_store.path / "caches").iterdir())


def test_another_model_swaps_from_now_on_and_one_that_cannot_be_opened_changes_nothing(
    own_store: Store, astronaut: Frame
) -> None:
    models = ("inswapper_128", "hyperswap_1a_256")
    expected = []
    for model in models:
        with morphstream.open(own_store, swap_model=model, threads=1) as swap:
            face = swap.detect(astronaut)[:1]
            source = swap.identify(astronaut)
            expected.append(swap(astronaut, source, faces=face))
    with morphstream.open(own_store, swap_model=models[0], threads=1) as swap:
        for model, frame in zip((*models, *models), (*expected, *expected), strict=True):
            swap.use(model)
            assert swap.swap_model == model
            np.testing.assert_array_equal(swap(astronaut, source, faces=face), frame)
            for odd in ("inswapper_129", "det_10g"):
                with pytest.raises((NoEngineError, SessionError)):
                    swap.use(odd)
        assert own_store.usage.order(models) == [*models]
        (own_store.path / CURRENT).unlink()
        assert len(own_store.clean()) == 1
    assert own_store.clean() == ()


def test_a_model_can_be_changed_while_another_thread_swaps(booted: Store, astronaut: Frame, source: Identity) -> None:
    models = ("inswapper_128", "hyperswap_1a_256")
    with morphstream.open(booted, swap_model=models[0]) as swap, ThreadPoolExecutor(1) as other:
        expected = {swap(astronaut, source).tobytes()}
        swap.use(models[1])
        expected.add(swap(astronaut, source).tobytes())
        is_over = threading.Event()
        frames = other.submit(lambda: {swap(astronaut, source).tobytes() for _ in iter(is_over.is_set, True)})
        try:
            for change in range(6):
                swap.use(models[change % 2])
        finally:
            is_over.set()
        assert frames.result() <= expected
        assert len(expected) == 2
