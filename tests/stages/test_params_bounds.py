"""A name, number or arch in params.yaml that files, DVC, a builder or a library can't take is refused by its path."""

from pathlib import Path

import pytest

from morphstream.artifact import archive
from stages.bounds import LEVELS
from stages.params import ParamsError, load_params
from tests.stages import ROOT, document, write_params

TEXT = (ROOT / "params.yaml").read_text("utf-8")
NAMES = ("../../x", "", "a b;c", "$(x)", "a\n", ".hidden", "-x", "a/b", "x" * 101, "é", "yes", "Off", "NULL")


def refused(tmp_path: Path, old: str, new: str) -> str:
    """Return the refusal of the project's params.yaml with one text replaced by another."""
    assert old in TEXT
    (tmp_path / "params.yaml").write_text(TEXT.replace(old, new, 1), "utf-8")
    with pytest.raises(ParamsError) as error:
        load_params(tmp_path / "params.yaml")
    message = str(error.value)
    assert message.startswith("params.yaml: ")
    assert message.endswith("; correct it there")
    assert "\n" not in message
    return message.removeprefix("params.yaml: ")


@pytest.mark.parametrize("name", NAMES, ids=[*map(repr, NAMES)])
@pytest.mark.parametrize("section", ["models", "targets", "model_archives"])
def test_names_are_plain(tmp_path: Path, section: str, name: str) -> None:
    data = document()
    data[section][name] = next(iter(data[section].values()))
    if section == "models":
        data[section][name] = {**data[section][name], "file": "models/a.onnx"}
    with pytest.raises(ParamsError, match=rf"^params\.yaml: {section}.*: expected a name of at most 100 letters"):
        write_params(tmp_path, data)


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("archive: cpu-cache-x86_64", "archive: /etc/x", "build_targets.cpu.archive: "),
        ("archive: cpu-cache-x86_64", "archive: ..", "build_targets.cpu.archive: "),
        ("archive: cpu-cache-x86_64", "archive: ''", "build_targets.cpu.archive: "),
        ("archive: cpu-cache-x86_64", "archive: a.tar.zst", "build_targets.cpu.archive: "),
        ("file: models/xseg_2.onnx", "file: ../a.onnx", "models.xseg_2.file: "),
        ("file: models/xseg_2.onnx", "file: /a.onnx", "models.xseg_2.file: "),
        ("file: models/xseg_2.onnx", "file: prepared/a.onnx", "models.xseg_2.file: "),
        ("file: models/xseg_2.onnx", "file: Archives/a.onnx", "models.xseg_2.file: "),
        ("file: models/xseg_2.onnx", "file: models/a.onnx/b.onnx", "models.xseg_2.file: "),
        ("file: models/xseg_2.onnx", "file: 'models/a b.onnx'", "models.xseg_2.file: "),
        ("file: models/xseg_2.onnx", "file: 'models/${x}.onnx'", "models.xseg_2.file: "),
        ("group: core", "group: a b", "models.det_10g.group: "),
        ("group: core", "group: shared", "models.det_10g.group: expected a group of models, seen shared"),
        ("worker: DirectSCRFD", "worker: ../x", "models.det_10g.worker: expected a class name"),
        ("licence: OpenRAIL-M", 'licence: ""', "models.fan_68_5.licence: "),
        ("licence: OpenRAIL-M", 'licence: "a\\nb"', "models.fan_68_5.licence: "),
        ("repo: morphstream/models", "repo: ../..", "hub.repo: "),
        ("origin: kit", "origin: kit\norigin: hub", "the file: expected every key once"),
        ("role: detector", "origin: mirror\n    role: detector", "models.det_10g.origin: "),
        ("inputs: {input.1: [1, 3, 640, 640]}", "inputs: {}", "models.det_10g.inputs: expected at least one"),
        ("{input.1: [1, 3, 640, 640]}", '{"a\\nb": [1]}', "models.det_10g.inputs['a\\nb']: "),
        ("[1, 3, 640, 640]", "[1, 3]", "models.det_10g.inputs: expected one, [batch, 3, height, width], for the role"),
        ("[1, 3, 640, 640]", "[1, 1, 640, 640]", "models.det_10g.inputs: expected one, [batch, 3, height, width], f"),
        ("input.1: [1, 3, 640, 640]", "a: [1, 3, 64, 64], b: [1, 3, 64, 64]", "models.det_10g.inputs: expected one, "),
        ("source: [1, 512]", "id: [1, 512]", "models.inswapper_128.inputs: expected source, [batch, 512], and one, "),
        ("source: [1, 512]", "source: [1, 256]", "models.inswapper_128.inputs: expected source, [batch, 512], and "),
        (
            "{input: [1, 5, 2]}",
            "{points: [1, 5, 2]}",
            "models.fan_68_5.inputs: expected input, [batch, 5, 2], or one, ",
        ),
        ("[-1, 256, 256, 3]", "[-1, 3, 256, 256]", "models.xseg_1.inputs: expected one, [batch, height, width, 3], "),
        ("[1, 3, 640, 640]", "[]", "models.det_10g.inputs['input.1']: expected 1 to 8 axes"),
        ("[1, 3, 640, 640]", "[1, 3, -1, 640]", "models.det_10g.inputs['input.1']: expected 1 to 65536, seen -1"),
        ("[1, 3, 640, 640]", "[1, 3, 640, true]", "models.det_10g.inputs['input.1']: "),
        ("bytes: 16923827", "bytes: -1", "models.det_10g.bytes: expected 1 to 2147483647"),
        ("bytes: 16923827", "bytes: 99999999999", "models.det_10g.bytes: "),
        ("bytes: 16923827", "bytes: true", "models.det_10g.bytes: "),
        ("batches: [1, 4]", "batches: [1, 100000]", "models.det_10g.batches: expected 1 to 1024"),
        ("batches: [1, 4]", "batches: [true]", "models.det_10g.batches: "),
        ("level: 3", "level: 20", "archive.level: expected 1 to 19"),
        ("level: 3", "level: 10000000", "archive.level: expected 1 to 19"),
        ("level: 3", "level: -1", "archive.level: expected 1 to 19"),
        ("level: 3", "level: true", "archive.level: "),
        ("zstandard: 0.25.0", "zstandard: '0.25'", "archive.zstandard: expected a full version"),
        ("openvino: 2026.4.1", "openvino: '2026.4'", "targets.cpu.toolchain.openvino: expected a full version"),
        (
            "sides: [320]",
            "sides: [320, 320]",
            "models.det_10g.sides: expected sides other than those of inputs, each once",
        ),
        ("sides: [320]", "sides: [640]", "models.det_10g.sides: expected sides other than those of inputs, each once"),
        ("sides: [320]", "sides: [330]", "models.det_10g.sides: expected multiples of 32 pixels, seen 330"),
        ("sides: [320]", "sides: [8192]", "models.det_10g.sides: expected 32 to 4096, seen 8192"),
        (
            "emap: true",
            "emap: true\n    sides: [64]",
            "models.inswapper_128.sides: expected no such key for the role swapper",
        ),
        ("role: detector", "role: null", "models.det_10g.role: "),
        ("delivery: baked", "delivery: stream", "models.det_10g.delivery: expected baked for a model whose group"),
        ("group: core", "group: eyes", "models.det_10g.delivery: expected baked for a model whose group"),
        ("group: inswapper_128\n", "group: core\n", "models.inswapper_128.delivery: "),
        ("[core, masks, yolov8n]", "[core, masks, yolov8n]\n  more: [core]", "models.det_10g.delivery: "),
        (
            "[core, masks, yolov8n]",
            "[core, masks, yolov8n, ../x]",
            "model_archives['models-core-masks']: expected a name",
        ),
        ("[core, masks, yolov8n]", "[core, masks, yolov8n, core]", "model_archives['models-core-masks']: expected gr"),
        ("[core, masks, yolov8n]", "[core, masks, yolov8n]\n  more: []", "model_archives.more: expected groups"),
        ("[core, masks, yolov8n]", "[core, masks, yolov8n]\n  more: [eyes]", "model_archives.more: expected groups"),
        ("[core, masks, yolov8n]", "core", "model_archives['models-core-masks']: expected an array"),
    ],
)
def test_a_value_out_of_bounds_is_refused(tmp_path: Path, old: str, new: str, where: str) -> None:
    assert refused(tmp_path, old, new).startswith(where)


@pytest.mark.parametrize(
    ("old", "new", "seen"),
    [
        ("builder: tensorrt_rtx, arch: sm86,", "builder: tensorrt_rtx, arch: sm90,", "sm90"),
        ("builder: tensorrt_rtx, arch: sm86,", "builder: tensorrt_rtx, arch: sm100,", "sm100"),
        ("builder: tensorrt_rtx, arch: sm86,", "builder: tensorrt_rtx, arch: x86_64,", "x86_64"),
        ("archs: [sm86,", "archs: [sm90,", "sm90"),
        ("archs: [sm86,", "archs: [portable,", "portable"),
        ("builder: openvino, arch: x86_64", "builder: openvino, arch: sm89", "sm89"),
        ("builder: openvino, arch: x86_64", "builder: openvino, archs: [x86_64], arch: portable", "portable"),
        ("builder: tensorrt, arch: sm89", "builder: tensorrt, arch: aarch64", "aarch64"),
    ],
)
def test_an_arch_that_the_builder_does_not_know_is_refused(tmp_path: Path, old: str, new: str, seen: str) -> None:
    assert f": the builder {new.split(',')[0].split()[-1] if 'builder' in new else 'tensorrt_rtx'} has no other, " in (
        message := refused(tmp_path, old, new)
    )
    assert f'seen "{seen}"' in message


@pytest.mark.parametrize("arch", ["sm75", "sm80", "sm86", "sm89", "sm120", "sm121"])
def test_every_arch_of_tensorrt_for_rtx_is_known(arch: str) -> None:
    targets = load_params(ROOT / "params.yaml").targets
    assert targets[f"rtx-{arch}"].archs == (arch,)


def test_tensorrt_builds_for_any_gpu(tmp_path: Path) -> None:
    data = document()
    data["targets"]["trt-sm100"] = {**data["targets"]["trt-sm89"], "arch": "sm100"}
    assert write_params(tmp_path, data).target("trt-sm100").archs == ("sm100",)


def test_every_level_of_archives_may_be_named() -> None:
    assert (LEVELS.least, LEVELS.most) == (archive.LEVELS.start, archive.LEVELS.stop - 1)


def test_no_two_models_have_one_file_not_even_in_another_case(tmp_path: Path) -> None:
    message = refused(tmp_path, "file: models/xseg_2.onnx", "file: models/XSEG_1.onnx")
    assert message.startswith(
        'models.xseg_2: expected a file of its own, seen "models/XSEG_1.onnx", which models.xseg_1'
    )


@pytest.mark.parametrize("name", ["rtx-cache-sm89", "models-core-masks"])
def test_no_two_archives_have_one_name(tmp_path: Path, name: str) -> None:
    message = refused(tmp_path, "archive: rtx-cache-sm86", f"archive: {name}")
    assert f'expected an archive of its own, seen "{name}"' in message


def test_no_two_targets_have_one_cache_key(tmp_path: Path) -> None:
    data = document()
    data["targets"]["again"] = data["targets"]["cpu"]
    data["build_targets"]["again"] = {**data["build_targets"]["cpu"], "archive": "again"}
    with pytest.raises(ParamsError, match=r'expected a cache key of its own, seen "x86_64/ov2026\.4"'):
        write_params(tmp_path, data)


def test_no_two_stages_have_one_name_in_dvc(tmp_path: Path) -> None:
    data = document()
    data["models"]["sm86-xseg_1"] = {**data["models"]["xseg_1"], "file": "models/a.onnx"}
    data["targets"]["rtx"] = data["targets"]["rtx-sm75"]
    data["build_targets"]["rtx"] = {"cache_key": "sm75/rtx1.7_ort1.31", "archive": "rtx"}
    with pytest.raises(ParamsError, match=r'expected a name in DVC of its own, seen "rtx-sm86-xseg_1"'):
        write_params(tmp_path, data)


@pytest.mark.parametrize(("section", "name", "again"), [("models", "xseg_1", "XSEG_1"), ("targets", "cpu", "CPU")])
def test_no_two_names_differ_in_case_alone(tmp_path: Path, section: str, name: str, again: str) -> None:
    data = document()
    own = {"file": "models/a.onnx"} if section == "models" else {}
    data[section][again] = {**data[section][name], **own}
    with pytest.raises(ParamsError, match=rf'{section}\.{again}: expected a name of its own, seen "{again}", which'):
        write_params(tmp_path, data)


def test_a_new_group_and_a_new_archive_are_params_words(tmp_path: Path) -> None:
    data = document()
    for name in ("xseg_1", "xseg_2"):
        data["models"][name]["group"] = "hands"
    data["model_archives"]["models-hands"] = ["hands"]
    params = write_params(tmp_path, data)
    assert params.model("xseg_1").group == "hands"
    assert params.model_archive("models-hands") == ("hands",)
