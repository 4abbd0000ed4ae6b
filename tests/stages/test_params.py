"""params.yaml says everything that is published, and whatever it can't mean is refused by the path of the fault."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stages.params import ParamsError, load_params
from tests.stages import PARAMS, ROOT, document, with_bfloat16, write_params

# As their owners publish the files; None where the first fetch pins them.
PINS: Mapping[str, tuple[str | None, int | None]] = {
    "det_10g": ("5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91", 16923827),
    "w600k_r50": ("4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43", 174383860),
    "fan_68_5": (None, 944321),
    "2dfan4": ("678c6fa539d52335a31c980feefdf4a6e02d781d83dce00af8a894f114557285", 97904803),
    "inswapper_128": ("e4a3f08c753cb72d04e10aa0f7dbe3deebbf39567d4ead6dce08e98aa49e16af", 554253681),
    "inswapper_128_fp16": ("c4eccca86ad177586c85c28bf1a64a9d9ed237e283a15818d831f7facfd3f420", 277680829),
    "hyperswap_1a_256": ("c0e98a8a03a238f461ed3d2570e426b49f46745ee400854a60dceeb70c246add", 402742682),
    "hyperswap_1b_256": ("5124031789c42f71b9558fb71954ef7aedb6da7ed9fac79293e23c61a792a73e", 402742682),
    "hyperswap_1c_256": ("5528c2d76fe9986c99d829278987ef9f3a630cb606db7628d02b57b330f406a5", 402742682),
    "xseg_1": ("c4d1498b8a03b5fe2a3a5d2ef2a0402ab03bd51edaf5b2d8d5fb764702a97dd3", 70324286),
    "xseg_2": ("cd9a0879eaf43841d765472cf1f8c330dbf9dcb03da0eace93e95f3bcc399042", 70324286),
    "xseg_3": ("48ccd7e8541e159a5a754ec9e62df2f12065f7df8f9af842c1750342c6533559", 70327709),
    "bisenet_resnet_34": ("4a0b8c958a3c938913bd06a8365dbb3c8761afba6ecbf0d14b3b1f77eb230c96", 93632546),
    "bisenet_resnet_18": ("2218b6183c26ca5c83303232d682a536c670c13ea9695f716c777d1f244eefe9", 53205356),
    "yolov8n": (None, None),
    "gfpgan": (None, None),
}


def names(delivery: str) -> set[str]:
    return {name for name, model in PARAMS.models.items() if model.delivery == delivery}


def put(data: dict[str, Any], where: str, value: object) -> None:
    """Set the value at a path of params.yaml; its last step may be new."""
    *above, last = where.split("/")
    for key in above:
        data = data[key]
    data[last] = value


def test_every_model_of_the_card_and_gfpgan_is_pinned_as_published() -> None:
    assert {name: (model.sha256, model.bytes) for name, model in PARAMS.models.items()} == PINS


def test_ten_models_are_baked_and_five_are_streamed() -> None:
    swappers = {name for name, model in PARAMS.models.items() if model.role == "swapper"}
    assert (len(names("baked")), len(names("stream")), names("on_request")) == (10, 5, {"gfpgan"})
    assert names("stream") == swappers


def test_the_default_is_the_kit_for_the_cpu_and_three_archs() -> None:
    assert PARAMS.origin == "kit"
    assert {name: build.cache_key for name, build in PARAMS.builds.items()} == {
        "cpu": "x86_64/ov2026.4",
        "rtx-sm86": "sm86/rtx1.7_ort1.31",
        "rtx-sm89": "sm89/rtx1.7_ort1.31",
        "rtx-sm120": "sm120/rtx1.7_ort1.31",
    }


def test_targets_that_are_commented_out_are_built_on_request(tmp_path: Path) -> None:
    text, count = re.subn(
        r"^  # ([a-z0-9-]+: \{cache_key: )", r"  \1", (ROOT / "params.yaml").read_text("utf-8"), flags=re.M
    )
    assert count == 5
    (tmp_path / "params.yaml").write_text(text, "utf-8")
    builds = load_params(tmp_path / "params.yaml").builds
    assert set(builds) - set(PARAMS.builds) == {"cpu-bf16", "rtx-portable", "rtx-sm75", "rtx-sm80", "rtx-sm121"}
    assert builds["cpu-bf16"].cache_key == "x86_64/ov2026.4_bf16"
    assert len({build.archive for build in builds.values()}) == len(builds)


def test_bfloat16_is_a_target_with_a_tolerance_of_its_own() -> None:
    single, half = PARAMS.target("cpu"), PARAMS.target("cpu-bf16")
    assert (single.target.precision, single.tolerance) == (None, None)
    assert half.target.precision == "bf16"
    assert half.tolerance is not None
    assert half.tolerance.cosine <= min(model.tolerance.cosine for model in PARAMS.models.values())
    assert half.tolerance.labels > max(model.tolerance.labels for model in PARAMS.models.values())


def test_no_two_models_or_targets_are_published_under_one_name() -> None:
    files = [model.file for model in PARAMS.models.values()]
    archives = [build.archive for build in PARAMS.builds.values()]
    assert len(set(files)) == len(files)
    assert len(set(archives)) == len(archives)


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        pytest.param("colour", 1, "colour: expected one of origin, ", id="unknown key"),
        pytest.param("models/xseg_1/colour", 1, "models.xseg_1.colour: ", id="unknown key of a model"),
        pytest.param("targets/cpu/batches", 8, "targets.cpu.batches: ", id="unknown key of a target"),
        pytest.param("archive/threads", 2, "archive.threads: ", id="unknown key of archive"),
        pytest.param("build_targets/cpu/arch", "sm89", "build_targets.cpu.arch: ", id="unknown key of a build"),
        pytest.param(
            "origin", "mirror", 'origin: expected one of kit, hub, folder, seen "mirror"', id="unknown origin"
        ),
        pytest.param("models", [], "models: expected an object", id="models as a list"),
        pytest.param("models/xseg_1", None, "models.xseg_1: expected an object", id="model of nothing"),
        pytest.param("models/xseg_1/file", 5, "models.xseg_1.file: ", id="file as a number"),
        pytest.param("models/xseg_1/role", "net", "models.xseg_1.role: expected one of", id="unknown role"),
        pytest.param("models/xseg_1/role", ["parser"], "models.xseg_1.role: ", id="role as a list"),
        pytest.param("models/xseg_1/precision", "int8", "models.xseg_1.precision: ", id="unknown precision"),
        *(
            pytest.param(
                f"models/{name}/precision",
                "fp16",
                f'models.{name}.precision: expected fp32 for the role {role}, seen "fp16"',
                id=f"half precision for a {role}",
            )
            for name, role in {
                "inswapper_128_fp16": "swapper",
                "xseg_1": "occluder",
                "bisenet_resnet_18": "parser",
                "gfpgan": "restorer",
            }.items()
        ),
        pytest.param("models/xseg_1/delivery", "mail", "models.xseg_1.delivery: ", id="unknown delivery"),
        pytest.param("models/xseg_1/bytes", "70 MB", "models.xseg_1.bytes: ", id="bytes as text"),
        pytest.param("models/xseg_1/bytes", True, "models.xseg_1.bytes: ", id="bytes as a truth"),
        pytest.param("models/xseg_1/sha256", "c4d1", "models.xseg_1.sha256: expected 64", id="short sha256"),
        pytest.param("models/xseg_1/tolerance", 0.99, "models.xseg_1.tolerance: ", id="tolerance as a number"),
        pytest.param(
            "models/xseg_1/tolerance/cosine", 1, "models.xseg_1.tolerance.cosine: ", id="cosine as an integer"
        ),
        pytest.param("models/xseg_1/tolerance/levels", 1.5, "models.xseg_1.tolerance.levels: ", id="half a level"),
        pytest.param("models/xseg_1/inputs", [1], "models.xseg_1.inputs: ", id="inputs as a list"),
        pytest.param("models/xseg_1/inputs/input", 3, "models.xseg_1.inputs.input: ", id="shape as a number"),
        pytest.param("models/xseg_1/inputs/input", ["N"], "models.xseg_1.inputs.input: ", id="axis as text"),
        pytest.param("hub/repo", None, "hub.repo: ", id="no repository"),
        pytest.param("hub/repo", "models", 'hub.repo: expected organisation/name, seen "models"', id="no organisation"),
        pytest.param("hub/revision", "main", "hub.revision: expected a commit of 40", id="branch"),
        pytest.param("hub/revision", "0123abc", "hub.revision: expected a commit of 40", id="short commit"),
        pytest.param("hub/revision", "A" * 40, "hub.revision: expected a commit of 40", id="capitals"),
        pytest.param("archive/level", "3", "archive.level: ", id="level as text"),
        pytest.param("archive/zstandard", 0.25, "archive.zstandard: ", id="version as a number"),
        pytest.param("models/xseg_1/batches", [1, 8.0], "models.xseg_1.batches: ", id="batch with a fraction"),
        pytest.param("models/xseg_1/batches", [], "models.xseg_1.batches: ", id="no batch"),
        pytest.param("models/xseg_1/batches", [2, 1], "models.xseg_1.batches: ", id="batches out of order"),
        pytest.param("models/xseg_1/batches", [1, 1], "models.xseg_1.batches: ", id="a batch twice"),
        pytest.param("models/xseg_1/batches", [0, 1], "models.xseg_1.batches: ", id="batch of none"),
        pytest.param("targets/rtx-portable/archs", [], "targets['rtx-portable'].archs: ", id="portable for no arch"),
        pytest.param(
            "targets/rtx-portable/archs", ["ada"], "targets['rtx-portable'].archs: ", id="portable for a name"
        ),
        pytest.param("targets/rtx-sm89/archs", ["sm89"], "targets['rtx-sm89'].archs: ", id="archs of one arch"),
        pytest.param("targets/cpu-bf16/precision", "fp16", "targets['cpu-bf16'].precision: expected bf16", id="half"),
        pytest.param(
            "targets/cpu-bf16/precision", None, "targets['cpu-bf16'].precision: expected bf16", id="no precision"
        ),
        pytest.param(
            "targets/cpu-bf16/precision", ["bf16"], "targets['cpu-bf16'].precision: ", id="precision as a list"
        ),
        pytest.param(
            "targets/rtx-sm89/precision",
            "bf16",
            "targets['rtx-sm89'].precision: expected no such key for builder tensorrt_rtx, seen",
            id="precision of a GPU's target",
        ),
        pytest.param(
            "targets/cpu/precision",
            "bf16",
            "targets.cpu: expected the key tolerance beside precision",
            id="bfloat16 without a tolerance",
        ),
        pytest.param(
            "targets/cpu-bf16/tolerance", 0.9, "targets['cpu-bf16'].tolerance: ", id="target's tolerance a number"
        ),
        pytest.param(
            "targets/cpu-bf16/tolerance/cosine",
            1,
            "targets['cpu-bf16'].tolerance.cosine: ",
            id="target's cosine an integer",
        ),
        pytest.param("targets/cpu-bf16/tolerance/labels", 1, "targets['cpu-bf16'].tolerance.labels: ", id="all labels"),
        pytest.param(
            "targets/cpu-bf16/tolerance/psnr",
            50.0,
            "targets['cpu-bf16'].tolerance.psnr: expected one of cosine, levels, pixels, score, labels",
            id="unknown key of a tolerance",
        ),
        pytest.param("targets/cpu/arch", "x87", "targets.cpu: expected an arch", id="unknown arch"),
        pytest.param("targets/cpu/builder", "tvm", "targets.cpu: expected an arch, a builder", id="unknown builder"),
        pytest.param("targets/cpu/toolchain", {}, "targets.cpu: ", id="no toolchain"),
        pytest.param(
            "targets/cpu/toolchain/openvino",
            2026.1,  # 2026.10, as YAML reads it without quotes
            "targets.cpu.toolchain.openvino: ",
            id="toolchain as a number",
        ),
        pytest.param("build_targets/tpu", {}, "targets: expected one of cpu, ", id="build of no target"),
        pytest.param("build_targets/cpu/archive", 5, "build_targets.cpu.archive: ", id="archive as a number"),
        pytest.param(
            "build_targets/cpu/cache_key",
            "x86_64/ov2026.3",
            "build_targets.cpu.cache_key: expected x86_64/ov2026.4, as targets.cpu has it",
            id="another target's cache key",
        ),
        pytest.param(
            "targets/cpu/toolchain/openvino",
            "2026.5.0",
            "build_targets.cpu.cache_key: expected x86_64/ov2026.5",
            id="toolchain raised, cache key not",
        ),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(tmp_path: Path, where: str, value: object, message: str) -> None:
    data = document()
    put(data, where, value)
    with pytest.raises(ParamsError) as error:
        write_params(tmp_path, data)
    assert str(error.value).startswith(f"params.yaml: {message}")
    assert len(str(error.value).splitlines()) == 1


def test_bfloat16_is_not_built_under_the_cache_key_of_single_precision(tmp_path: Path) -> None:
    data = with_bfloat16(document())
    data["build_targets"]["cpu-bf16"]["cache_key"] = "x86_64/ov2026.4"
    expected = (
        r"^params\.yaml: build_targets\['cpu-bf16'\]\.cache_key: expected x86_64/ov2026\.4_bf16, as targets\.cpu-bf16"
    )
    with pytest.raises(ParamsError, match=expected):
        write_params(tmp_path, data)


@pytest.mark.parametrize(
    "where",
    ["hub", "models/xseg_1/sha256", "models/xseg_1/licence", "archive/level", "models/xseg_1/tolerance"],
)
def test_a_missing_key_is_refused_by_its_path(tmp_path: Path, where: str) -> None:
    data = document()
    *above, last = where.split("/")
    holder = data
    for key in above:
        holder = holder[key]
    del holder[last]
    with pytest.raises(ParamsError) as error:
        write_params(tmp_path, data)
    path = re.sub(r"\.([a-z]+-[a-z0-9]+)", r"['\1']", where.replace("/", "."))
    assert re.match(rf"params\.yaml: {re.escape(path)}: expected an? [a-z ]+, seen no such key; ", str(error.value))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"- a\n- b\n", id="a list"),
        pytest.param(b"origin: [kit\n", id="cut"),
        pytest.param(b"1: 2\n", id="a number for a key"),
        pytest.param(b"models: {xseg_1: {inputs: {1: [1]}}}\n", id="a number for a key inside"),
        pytest.param(b"models: {yes: {}}\n", id="a truth for a key"),
        pytest.param(b"models: {xseg_1: {tolerance: {cosine: .nan}}}\n", id="a number that is none"),
        pytest.param(b"origin: \xff\n", id="not UTF-8"),
        pytest.param(b"origin: !!python/object:os.system {}\n", id="an object of Python"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused_in_one_line(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(text)
    with pytest.raises(ParamsError, match=r"^params\.yaml: the file: expected [^\n]*$"):
        load_params(path)


def test_no_target_need_be_built(tmp_path: Path) -> None:
    data = document()
    data["build_targets"] = {}
    assert write_params(tmp_path, data).builds == {}


def test_a_pinned_revision_is_accepted(tmp_path: Path) -> None:
    data = document()
    put(data, "hub/revision", "0123456789abcdef" * 2 + "01234567")
    assert write_params(tmp_path, data).hub.revision == data["hub"]["revision"]


@pytest.mark.parametrize("kind", ["model", "target", "build"])
def test_an_unknown_name_is_refused_with_the_known_ones(kind: str) -> None:
    with pytest.raises(ParamsError, match=r'^params\.yaml: [a-z_]+: expected one of .*, seen "nobody"; '):
        getattr(PARAMS, kind)("nobody")
