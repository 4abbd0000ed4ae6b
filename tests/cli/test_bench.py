"""`morphstream bench` says what frames cost, in which engines, and whether engines answer as the CPU's do."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import morphstream
from bench.clips import clip, write_clip
from morphstream.artifact.errors import SessionError
from morphstream.cli.agreement import Agreement, agreements, inputs_of, nearness
from morphstream.cli.main import main
from morphstream.cli.measured import made_up_faces, made_up_frame
from morphstream.cli.timed import Times
from morphstream.machine.probe import probe_machine
from morphstream.session.session import Array
from morphstream.source.folder import FolderSource
from morphstream.store.store import Store
from tests.cli import refusal, wrong_usage
from tests.face import PlayedSession
from tests.stages import needs_bfloat16

FRAME = made_up_frame(160, 96)
(FACE,) = made_up_faces(FRAME, 1)
BF16 = "x86_64/ov2026.4_bf16"


@pytest.fixture(scope="session")
def published_bf16(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published layout with the CPU's engines, to be run in bfloat16."""
    cache = tmp_path_factory.mktemp("bf16") / "trt_cache" / BF16
    shutil.copytree(published / "trt_cache/x86_64/ov2026.4", cache)
    manifest = json.loads((cache / "manifest.json").read_text("utf-8")) | {"cache_key": BF16}
    for file in manifest["engine_files"].values():
        file["precision"] = "bf16"
    (cache / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return cache.parents[2]


def test_all_that_was_found_is_json(here: Path, booted: Store, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "source.png", "--frames", "3", "--json", "--store", str(booted.path)]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["size_wh"], found["faces"], found["frames"]) == ([512, 512], 1, 3)
    assert {name: engine["runs"] for name, engine in found["engines"].items()} == {
        "det_10g": 3,
        "inswapper_128_fp16": 3,
        "xseg_1": 3,
    }
    for step in found["steps"].values():
        assert 0 < step["engines"]["median_ms"] < step["whole"]["median_ms"] <= step["whole"]["most_ms"]
        assert 0 < step["host"]["median_ms"] < step["whole"]["most_ms"]
    assert found["steps"]["both"]["whole"]["most_ms"] > found["steps"]["swap"]["whole"]["most_ms"]
    assert found["fps_in_threads"] > 0
    assert 0 < found["opened_bytes"] <= found["most_bytes"]
    assert found["system"]["morphstream"] == morphstream.__version__
    assert found["diagnosis"]["machine"]["arch"] == probe_machine().arch
    assert found["not_compared"] == "x86_64/ov2026.4 are the CPU's own"


def test_a_video_is_swapped_as_a_whole_too(here: Path, booted: Store, capfd: pytest.CaptureFixture[str]) -> None:
    write_clip(clip("still", size_wh=(320, 180), count=9), here / "clip.mp4")
    before = sorted(here.iterdir())
    options = ["--frames", "1", "--masks", "box", "--store", str(booted.path)]
    assert main(["bench", "clip.mp4", *options, "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["size_wh"], found["clip"]["frames"]) == ([320, 180], 9)
    assert found["clip"]["engines"]["inswapper_128_fp16"]["runs"] == 9
    assert 0 < found["clip"]["between"]["median_ms"] < 1000 * found["clip"]["seconds"]
    assert found["clip"]["encoder"].startswith("libx264")
    assert sorted(here.iterdir()) == before


def test_a_made_up_frame_is_measured_in_a_table(here: Path, booted: Store, capfd: pytest.CaptureFixture[str]) -> None:
    size = ["--size", "640x360", "--faces", "2", "--masks", "box"]
    assert main(["bench", *size, "--frames", "2", "--store", str(booted.path)]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert any(line.endswith("2 frames of 640x360 with 2 faces, milliseconds:") for line in lines)
    rows = {line.split()[0]: line.split()[1:] for line in lines if line}
    assert len(rows["both"]) == 6
    assert rows["inswapper_128_fp16"][-1] == "2"
    assert "xseg_1" not in rows
    assert lines[-1] == "engines are not compared with the CPU's: x86_64/ov2026.4 are the CPU's own"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["nobody.png", "--angles", "0"], "nobody.png: expected a face, seen one colour", id="nobody"),
        pytest.param(["missing.png"], "missing.png: expected a file to read or write", id="no picture"),
        pytest.param(["--swap-model", "inswapper_9"], "inswapper_9: expected an engine, seen those of", id="no model"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    here: Path, booted: Store, capfd: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    assert expected in refusal(capfd, "bench", *arguments, "--store", str(booted.path))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--size", "1280"], "expected a width and a height such as 1280x720, seen '1280'"),
        (["--size", "1280x9"], "expected a whole number from 64 to 16384, seen '9'"),
        (["--frames", "0"], "expected a whole number from 1 to 100000, seen '0'"),
        (["--pixel-boost", "200"], "--pixel-boost: expected a multiple of 128 pixels"),
    ],
)
def test_senseless_options_are_wrong_usage(
    here: Path, booted: Store, capfd: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    assert expected in wrong_usage(capfd, "bench", *arguments, "--store", str(booted.path))


def test_times_are_quantiles_in_milliseconds() -> None:
    assert Times.of(np.arange(101) / 1000) == Times(median_ms=50, p95_ms=95, p99_ms=99, most_ms=100)


@needs_bfloat16
def test_engines_of_less_precision_are_compared_with_the_cpu(
    here: Path, published: Path, published_bf16: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    morphstream.boot(here / "store", target="cpu-bf16", source=published_bf16, groups=["core", "inswapper_128_fp16"])
    options = ["source.png", "--frames", "1", "--masks", "box", "--json"]
    assert main(["bench", *options, "--source", str(published)]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["not_compared"] == ""
    assert {one["model"] for one in found["agreements"]} == set(Store(here / "store").current().models)
    assert all(one["least"] > 0.99 and not one["error"] for one in found["agreements"])


def test_an_engine_that_cannot_be_opened_does_not_agree(booted_for_gpu: Store, published: Path) -> None:
    cpu, libraries = probe_machine(), {"tensorrt_rtx": "1.7.1", "onnxruntime": "1.31.1"}
    gpu = replace(cpu, gpu_archs=("sm89",), libraries={**cpu.libraries, **libraries})
    (one,) = agreements(booted_for_gpu, gpu, [FolderSource(published)], FRAME, FACE)
    assert one.error.startswith("det_10g: expected an engine with its EPContext model")
    assert not one.is_close


@pytest.mark.parametrize(
    ("name", "seen", "reference", "kind", "least"),
    [
        pytest.param("labels", [[1, 1, 2, 2]], [[1, 1, 2, 3]], "equal", 0.75, id="labels"),
        pytest.param("embedding", [[0.0, 1, 0]], [[0.0, 1, 0]], "cosine", 1.0, id="an equal embedding"),
        pytest.param("embedding", [[0.0, 0, 1]], [[0.0, 1, 0]], "cosine", 0.0, id="another embedding"),
        pytest.param(
            "anchors", [[[9.0, 1], [8, 0], [7, 0]]], [[[9.0, 0], [8, 1], [7, 0]]], "cosine", 0.0, id="one bad column"
        ),
        pytest.param(
            "persons", [[[9.0, 8, 7], [1, 0, 0]]], [[[9.0, 8, 7], [0, 1, 0]]], "cosine", 0.0, id="one bad row"
        ),
    ],
)
def test_each_output_is_compared_by_what_it_is(
    name: str, seen: list[object], reference: list[object], kind: str, least: float
) -> None:
    found, how_near = nearness(name, np.array(seen), np.array(reference))
    assert (found, round(how_near, 9)) == (kind, least)


def test_a_crop_is_compared_in_decibels() -> None:
    crop = np.full((1, 8, 8, 3), 100, np.uint8)
    assert nearness("swapped", crop, crop) == ("psnr_db", 100)
    kind, least = nearness("swapped", crop, crop + np.uint8(10))
    assert least == pytest.approx(28.13, abs=0.01)
    assert not Agreement(model="inswapper_128", kind=kind, least=least).is_close


def test_outputs_of_other_shapes_are_refused() -> None:
    with pytest.raises(SessionError, match=r"mask: expected float64 of shape \(1, 8\), seen float64 of shape \(1, 9\)"):
        nearness("mask", np.zeros((1, 9)), np.zeros((1, 8)))


def test_engines_get_the_frame_or_the_face_at_each_of_their_sizes() -> None:
    def answer(inputs: object) -> dict[str, Array]:
        return {}

    session = PlayedSession({"frame": (-1, 64, 64, 3)}, answer, sizes=[(32, 32)])
    large, small = inputs_of(session, FRAME, FACE)
    assert (large["frame"].shape, small["frame"].shape) == ((2, 64, 64, 3), (1, 32, 32, 3))
    assert (large["frame"][0] == large["frame"][1][:, ::-1]).all()
    (inputs,) = inputs_of(PlayedSession({"crop": (-1, 64, 64, 3), "source": (-1, 512)}, answer), FRAME, FACE)
    assert {name: (array.dtype.name, array.shape) for name, array in inputs.items()} == {
        "crop": ("uint8", (2, 64, 64, 3)),
        "source": ("float32", (2, 512)),
    }
