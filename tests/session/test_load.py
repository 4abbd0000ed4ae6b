"""A model's engine and emap are opened from what a store holds, or refused with what is there instead."""

from pathlib import Path

import numpy as np
import pytest

from morphstream.artifact.errors import NoEngineError, SessionError
from morphstream.session.load import load_emap, open_session
from morphstream.session.openvino import OpenVINOSession
from morphstream.store.store import Store
from stages.kit.swapper import emap


def test_an_engine_of_openvino_is_opened(booted: Store) -> None:
    session = open_session(booted.current(), "xseg_1", threads=1)
    assert isinstance(session, OpenVINOSession)
    assert session.input_shapes == {"crop": (-1, 256, 256, 3)}
    session.close()


def test_a_folder_for_blobs_is_handed_on(booted: Store, tmp_path: Path) -> None:
    open_session(booted.current(), "xseg_1", threads=1, blobs=tmp_path / "blobs").close()
    assert list((tmp_path / "blobs").iterdir())


def test_an_engine_for_a_gpu_is_refused_with_what_to_do(booted_for_gpu: Store) -> None:
    expected = "^det_10g: expected an engine of openvino, seen one of tensorrt_rtx; run: morphstream boot --target cpu$"
    with pytest.raises(SessionError, match=expected):
        open_session(booted_for_gpu.current(), "det_10g")


def test_a_model_that_is_not_held_is_refused_with_those_that_are(booted: Store) -> None:
    expected = "^gfpgan: expected an engine, seen those of det_10g, hyperswap_1a_256, .* only; build and boot it$"
    with pytest.raises(NoEngineError, match=expected):
        open_session(booted.current(), "gfpgan")
    with pytest.raises(NoEngineError, match=expected):
        load_emap(booted.current(), "gfpgan")


@pytest.mark.parametrize("model", ["inswapper_128", "inswapper_128_fp16"])
def test_inswappers_emap_is_the_one_in_the_model(booted: Store, model: str) -> None:
    loaded = load_emap(booted.current(), model)
    assert loaded is not None
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, emap().astype(np.float32))


@pytest.mark.parametrize("model", ["hyperswap_1a_256", "w600k_r50"])
def test_a_model_without_an_emap_has_none(booted: Store, model: str) -> None:
    assert load_emap(booted.current(), model) is None


def _saved(path: Path, array: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bytes:
    np.save(path, array)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((512,), np.float32), ((512, 511), np.float32), ((512, 512), np.float64), ((512, 512), np.float16)],
    ids=["a vector", "not square", "double precision", "half precision"],
)
def test_an_emap_of_another_form_is_refused(own_store: Store, shape: tuple[int, ...], kind: type) -> None:
    installed = own_store.current()
    np.save(installed.files_of("inswapper_128")["emap"], np.zeros(shape, kind))
    with pytest.raises(SessionError, match=r": expected \(512, 512\) float32, seen \(512.*; boot again$"):
        load_emap(installed, "inswapper_128")


@pytest.mark.parametrize("size", [0, 50, 5000], ids=["empty", "a cut header", "cut"])
def test_a_broken_emap_is_refused_in_one_line(own_store: Store, size: int) -> None:
    installed = own_store.current()
    path = installed.files_of("inswapper_128")["emap"]
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(SessionError, match=f"^{path.name}: expected an array, seen .+; boot again$") as caught:
        load_emap(installed, "inswapper_128")
    assert len(str(caught.value).splitlines()) == 1


def test_an_emap_of_pickled_objects_is_refused(own_store: Store) -> None:
    installed = own_store.current()
    np.save(installed.files_of("inswapper_128")["emap"], np.array([{}], object), allow_pickle=True)
    with pytest.raises(SessionError, match="expected an array, seen "):
        load_emap(installed, "inswapper_128")
