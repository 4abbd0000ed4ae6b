"""`add NAME FILE` makes a model of somebody's file in one command: found alike, pinned, copied, listed, or refused."""

import shutil
from pathlib import Path

import pytest

from morphstream.artifact.digest import digest_of
from morphstream.artifact.errors import ManifestError, ModelError, MorphstreamError
from stages.add import add
from stages.lists import check_lists
from stages.params import ParamsError, load_params
from stages.prepare import save_model
from stages.workspace import Workspace
from tests.stages import PARAMS, ROOT, copy_pipeline, files_in, loaded, refusal, run_stage
from tests.stages.own_files import own_model, write_in_parts, write_own
from tests.stages.test_sides import as_exported_for_320

TEXT = (ROOT / "params.yaml").read_text("utf-8")


@pytest.fixture
def project(workspace: Workspace) -> Workspace:
    """A workspace with the project's own params.yaml and dvc.yaml files."""
    shutil.copyfile(ROOT / "params.yaml", workspace.params)
    copy_pipeline(workspace)
    return workspace


def state(workspace: Workspace) -> dict[str, bytes]:
    """Return every file of a workspace but for the schemas."""
    return {path: data for path, data in files_in(workspace.root).items() if not path.startswith("manifests/")}


@pytest.mark.parametrize(
    ("kind", "like", "group"),
    [
        ("inswapper_128", "inswapper_128", "mine"),
        ("inswapper_128_fp16", "inswapper_128_fp16", "mine"),
        ("hyperswap_1b_256", "hyperswap_1a_256", "mine"),
        ("xseg_2", "xseg_1", "masks"),
        ("bisenet_resnet_18", "bisenet_resnet_34", "masks"),
        ("w600k_r50", "w600k_r50", "core"),
        ("2dfan4", "2dfan4", "core"),
        ("yolov8n", "yolov8n", "yolov8n"),
        ("gfpgan", "gfpgan", "mine"),
        ("det_10g", "det_10g", "core"),
    ],
)
def test_a_model_is_like_the_one_with_its_inputs_and_outputs(
    project: Workspace, tmp_path: Path, kind: str, like: str, group: str
) -> None:
    data = write_own(tmp_path / "downloaded.onnx", kind)
    said = add(project, "mine", tmp_path / "downloaded.onnx")
    model, other = load_params(project.params).model("mine"), PARAMS.model(like)
    assert (model.pin, model.origin, model.file) == (digest_of(data), "folder", "models/mine.onnx")
    for key in ("role", "worker", "delivery", "precision", "inputs", "batches", "sides", "tolerance"):
        assert getattr(model, key) == getattr(other, key), key
    assert (model.group, model.licence) == (group, "unknown")
    assert (project.build / model.file).read_bytes() == data
    check_lists(load_params(project.params), project)
    assert ("then: morphstream swap --swap-model mine" in said) == (model.role == "swapper")


def test_a_detector_for_320_pixels_keeps_no_other_size(project: Workspace, tmp_path: Path) -> None:
    save_model(as_exported_for_320(loaded("det_10g")), tmp_path / "small.onnx")
    said = add(project, "mine", tmp_path / "small.onnx", like="det_10g")
    model = load_params(project.params).model("mine")
    assert (model.inputs, model.sides) == ({"input.1": (1, 3, 320, 320)}, ())
    assert "sides" not in said


def test_every_other_line_of_params_stays(project: Workspace, tmp_path: Path) -> None:
    write_own(tmp_path / "a.onnx", "inswapper_128")
    said = add(project, "mine", tmp_path / "a.onnx").splitlines()
    after = project.params.read_text("utf-8")
    assert after.startswith(TEXT.removesuffix("\n"))
    come = after.removeprefix(TEXT).splitlines()
    assert come[0] == "  mine:"
    assert {f"+{line}" for line in come} <= {*said}
    assert "+++ pipeline/fetch/dvc.yaml" in said
    assert "+      mine: models/mine.onnx" in said
    assert {"+        - build/${item.engines}/mine/${key}", "+      mine: models/mine.onnx"} <= {*said}


def test_adding_again_says_that_it_is_there(project: Workspace, tmp_path: Path) -> None:
    write_own(tmp_path / "a.onnx", "xseg_1")
    add(project, "mine", tmp_path / "a.onnx")
    before = state(project)
    assert add(project, "mine", tmp_path / "a.onnx").startswith("mine: it is in params.yaml already, with this file")
    assert state(project) == before
    write_own(tmp_path / "b.onnx", "xseg_1", seed=2)
    with pytest.raises(MorphstreamError, match="mine: expected a new name, or the file that it has"):
        add(project, "mine", tmp_path / "b.onnx")
    with pytest.raises(MorphstreamError, match="xseg_1: expected a new name, or the file that it has"):
        add(project, "xseg_1", tmp_path / "b.onnx")
    assert state(project) == before


def test_adding_again_completes_what_a_killed_run_left(project: Workspace, tmp_path: Path) -> None:
    write_own(tmp_path / "a.onnx", "xseg_1")
    before = project.dvc_yaml.read_bytes()
    add(project, "mine", tmp_path / "a.onnx")
    whole = state(project)
    project.dvc_yaml.write_bytes(before)
    shutil.rmtree(project.build)
    add(project, "mine", tmp_path / "a.onnx")
    assert state(project) == whole


def test_a_model_that_was_added_comes_out_of_its_folder_later(project: Workspace, tmp_path: Path) -> None:
    data = write_own(tmp_path / "own/downloaded.onnx", "xseg_1")
    add(project, "mine", tmp_path / "own/downloaded.onnx")
    shutil.rmtree(project.build)
    done = run_stage(project, "fetch", "mine", MORPHSTREAM_MODELS=str(tmp_path / "own"))
    assert done.returncode == 0, done.stderr
    assert files_in(project.build) == {"models/mine.onnx": data}


def test_a_model_in_parts_is_joined(project: Workspace, tmp_path: Path) -> None:
    write_in_parts(tmp_path / "a.onnx", "xseg_1", "a.onnx.data")
    add(project, "mine", tmp_path / "a.onnx")
    assert digest_of((project.build / "models/mine.onnx").read_bytes()) == load_params(project.params).model("mine").pin


def test_an_input_for_pixels_may_have_any_name(project: Workspace, tmp_path: Path) -> None:
    proto = own_model("w600k_r50")
    old, proto.graph.input[0].name = proto.graph.input[0].name, "data"
    for node in proto.graph.node:
        node.input[:] = ["data" if name == old else name for name in node.input]
    (tmp_path / "a.onnx").write_bytes(proto.SerializeToString())
    add(project, "mine", tmp_path / "a.onnx")
    model = load_params(project.params).model("mine")
    assert (model.role, model.inputs) == ("embedder", {"data": (-1, 3, 112, 112)})


def test_another_size_needs_the_model_that_it_is_like(project: Workspace, tmp_path: Path) -> None:
    write_own(tmp_path / "a.onnx", "xseg_1")
    text = project.params.read_text("utf-8").replace("[-1, 256, 256, 3]", "[-1, 128, 128, 3]")
    project.params.write_text(text, "utf-8")
    with pytest.raises(ModelError, match=r"seen \{'input': \[.*\], 'output': .*\}; name the model .*: --like MODEL"):
        add(project, "mine", tmp_path / "a.onnx")
    add(project, "mine", tmp_path / "a.onnx", "xseg_3")
    assert load_params(project.params).model("mine").inputs == {"input": (-1, 256, 256, 3)}


@pytest.mark.parametrize(
    ("name", "like", "message"),
    [
        ("../x", None, "expected a name of at most 100 letters"),
        ("", None, "expected a name of at most 100 letters"),
        ("a b", None, "expected a name of at most 100 letters"),
        ("a\n", None, "expected a name of at most 100 letters"),
        ("mine", "nobody", 'models: expected one of .*, seen "nobody"'),
        ("mine", "fan_68_5", "mine: expected input, .* for the role landmarker, seen input .*: --like MODEL"),
        ("XSEG_1", None, "expected a file of its own"),
    ],
)
def test_what_cannot_be_added_is_refused_and_nothing_changes(
    project: Workspace, tmp_path: Path, name: str, like: str | None, message: str
) -> None:
    write_own(tmp_path / "a.onnx", "xseg_1")
    before = state(project)
    with pytest.raises((MorphstreamError, ManifestError, ParamsError), match=message):
        add(project, name, tmp_path / "a.onnx", like)
    assert state(project) == before


def test_a_file_of_dvc_that_cannot_be_written_leaves_params_as_they_were(project: Workspace, tmp_path: Path) -> None:
    write_own(tmp_path / "a.onnx", "xseg_1")
    (project.root / "pipeline/pack/dvc.yaml").write_text("stages: {}\n", "utf-8")
    before = state(project)
    with pytest.raises(MorphstreamError, match="expected the stage pack, seen none; run: git checkout"):
        add(project, "mine", tmp_path / "a.onnx")
    assert state(project) == before


def test_somebody_s_file_in_its_place_is_not_overwritten(project: Workspace, tmp_path: Path) -> None:
    write_own(tmp_path / "a.onnx", "xseg_1")
    write_own(project.build / "models/mine.onnx", "xseg_1", seed=2)
    before = state(project)
    with pytest.raises(MorphstreamError, match="expected no file, or one that can be had again"):
        add(project, "mine", tmp_path / "a.onnx")
    assert state(project) == before


def test_a_link_in_its_place_becomes_a_plain_file(project: Workspace, tmp_path: Path) -> None:
    data, place = write_own(tmp_path / "a.onnx", "xseg_1"), project.build / "models/mine.onnx"
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "a.onnx")
    add(project, "mine", tmp_path / "a.onnx")
    assert not place.is_symlink()
    assert (place.read_bytes(), (tmp_path / "a.onnx").read_bytes()) == (data, data)


def test_no_file_and_no_model_are_refused_in_a_line(project: Workspace, tmp_path: Path) -> None:
    assert "expected an ONNX file, seen none; name another" in refusal(project, "add", "mine", str(tmp_path / "none"))
    (tmp_path / "a.onnx").write_bytes(b"no model")
    assert "a.onnx: expected a" in refusal(project, "add", "mine", str(tmp_path / "a.onnx"))


def test_a_swapper_that_lost_its_emap_is_refused_with_the_remedy(project: Workspace, tmp_path: Path) -> None:
    model = own_model("inswapper_128")
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name == "buff2fs"]:
        model.graph.initializer.remove(tensor)
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    before = state(project)
    with pytest.raises(ModelError, match=r"emap: expected buff2fs .*onnxsim"):
        add(project, "mine", tmp_path / "a.onnx")
    assert state(project) == before


def test_a_swapper_without_an_emap_stays_one(project: Workspace, tmp_path: Path) -> None:
    write_own(tmp_path / "a.onnx", "hyperswap_1c_256")
    add(project, "mine", tmp_path / "a.onnx")
    assert not load_params(project.params).model("mine").needs_emap
