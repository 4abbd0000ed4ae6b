"""A swapper that somebody adds in one command is built and swaps faces, without a line of code."""

import shutil
from pathlib import Path

import numpy as np

import morphstream
from morphstream.artifact.digest import digest_of
from stages.params import load_params
from stages.photos import astronaut
from stages.workspace import Workspace
from tests.stages import DOWNLOADS, original, reduced, run_stage, write_params
from tests.stages.own_files import write_own


def test_a_model_that_was_added_swaps_a_face(workspace: Workspace, tmp_path: Path) -> None:
    shutil.copytree(DOWNLOADS, workspace.downloads)
    write_params(workspace.root, reduced(("det_10g", "w600k_r50", "xseg_1", "inswapper_128"), ["cpu"]))
    write_own(tmp_path / "downloaded.onnx", "inswapper_128")
    added = run_stage(workspace, "add", "mine", str(tmp_path / "downloaded.onnx"))
    assert added.returncode == 0, added.stderr
    built = run_stage(workspace, "build", "cpu", "--into", str(tmp_path / "built"))
    assert built.returncode == 0, built.stderr
    store = tmp_path / "store"
    morphstream.boot(store, target="cpu", source=tmp_path / "built")
    picture = np.ascontiguousarray(astronaut())
    with morphstream.open(store, swap_model="mine") as swap, morphstream.open(store, swap_model="inswapper_128") as kit:
        identity = swap.identify(picture)
        swapped = swap(picture, identity)
        assert (swapped != picture).any()
        assert (swapped != kit(picture, identity)).any()  # its weights are others
        assert float(np.abs(swapped.astype(int) - kit(picture, identity)).mean()) < 5
    model = load_params(workspace.params).model("mine")
    assert (model.origin, model.group) == ("folder", "mine")


def test_a_detector_of_another_name_finds_faces_where_it_is_the_only_one(workspace: Workspace, tmp_path: Path) -> None:
    shutil.copytree(DOWNLOADS, workspace.downloads)
    data = reduced(("det_10g", "w600k_r50", "xseg_1", "inswapper_128"), ["cpu"])
    digest = digest_of(original("det_10g"))
    data["models"]["my_scrfd"] = data["models"].pop("det_10g") | {
        "file": "models/my_scrfd.onnx",
        "origin": "folder",
        "sha256": digest.sha256,
        "bytes": digest.bytes,
    }
    write_params(workspace.root, data)
    (tmp_path / "my_scrfd.onnx").write_bytes(original("det_10g"))
    built = run_stage(workspace, "build", "cpu", "--into", str(tmp_path / "built"), MORPHSTREAM_MODELS=str(tmp_path))
    assert built.returncode == 0, built.stderr
    morphstream.boot(tmp_path / "store", target="cpu", source=tmp_path / "built")
    with morphstream.open(tmp_path / "store", swap_model="inswapper_128") as swap:
        assert len(swap.detect(np.ascontiguousarray(astronaut()))) == 1
