"""The report says of every target whether its engines were executed, and of every model how near they are."""

from pathlib import Path

from stages import summary
from stages.report.__main__ import is_judged, swap_models
from tests.stages import PARAMS, document, write_params

RECORDS: summary.Records = {
    "det_10g": {
        "prepared": {"column_cosine": 0.99999, "score": 0.001, "pixels": 0.1},
        "fp16": {"column_cosine": 0.9999, "score": 0.01, "pixels": 1.0},
        "cpu": {"executed": True, "column_cosine": 0.99999, "score": 0.001, "pixels": 0.1},
        "rtx-sm89": {"executed": False},
    },
    "hyperswap_1a_256": {
        "prepared": {"psnr_db": 50, "cosine": 0.99999},
        "cpu": {"executed": True, "psnr_db": 50, "cosine": 0.99999},
        "rtx-sm89": {"executed": True, "psnr_db": 40, "cosine": 0.999},
    },
    "bisenet_resnet_34": {
        "prepared": {"labels_off": 0.001},
        "cpu": {"executed": True, "labels_off": 0.001},
        "rtx-sm89": {"executed": True, "labels_off": 0.001},
    },
}


def test_a_target_counts_as_executed_when_every_model_s_engine_was() -> None:
    assert summary.executed(RECORDS) == {"cpu": True, "rtx-sm89": False}


def test_the_table_has_a_line_a_model_and_marks_what_was_not_executed() -> None:
    head, *lines = (line.split("  ") for line in summary.table(RECORDS).splitlines())
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert [cell.strip() for cell in head if cell.strip()] == ["prepared", "fp16", "cpu", "rtx-sm89"]
    five, single = "cosine >= 0.99999", "<= 0.1 px, scores <= 0.001 off, columns >= 0.99999"
    assert cells == [
        ["det_10g", single, "<= 1.0 px, scores <= 0.01 off, columns >= 0.9999", single, "not executed"],
        ["hyperswap_1a_256", f"{five}, >= 50 dB", "-", f"{five}, >= 50 dB", "cosine >= 0.999, >= 40 dB"],
        ["bisenet_resnet_34", "<= 0.001 of labels off", "-", "<= 0.001 of labels off", "<= 0.001 of labels off"],
    ]


def test_each_meaning_has_a_plot_of_its_own() -> None:
    plots = summary.plots(RECORDS)
    assert set(plots) == {"pixels", "scores", "nines", "decibels", "labels"}
    assert plots["pixels"] == {"det_10g prepared": 0.1, "det_10g fp16": 1.0, "det_10g cpu": 0.1}
    assert plots["scores"] == {"det_10g prepared": 0.001, "det_10g fp16": 0.01, "det_10g cpu": 0.001}
    assert plots["nines"] == {
        "det_10g prepared": 5,
        "det_10g fp16": 4,
        "det_10g cpu": 5,
        "hyperswap_1a_256 prepared": 5,
        "hyperswap_1a_256 cpu": 5,
        "hyperswap_1a_256 rtx-sm89": 3,
    }
    assert plots["decibels"] == {
        "hyperswap_1a_256 prepared": 50,
        "hyperswap_1a_256 cpu": 50,
        "hyperswap_1a_256 rtx-sm89": 40,
    }
    assert list(plots["labels"].values()) == [0.001] * 3


def test_every_swapper_is_tried_whatever_it_is_called(tmp_path: Path) -> None:
    data = document()
    data["models"]["mine"] = {**data["models"]["inswapper_128"], "file": "models/mine.onnx"}
    assert swap_models(write_params(tmp_path, data)) == [*swap_models(PARAMS), "mine"]
    assert len(swap_models(PARAMS)) == 5


def test_a_swapper_is_judged_by_an_embedder_of_its_own_origin(tmp_path: Path) -> None:
    data = document()
    data["models"]["inswapper_128"]["origin"] = "folder"
    params = write_params(tmp_path, data)
    assert [name for name in swap_models(params) if not is_judged(params, name)] == ["inswapper_128"]
    data["models"]["w600k_r50"]["origin"] = "folder"
    assert is_judged(write_params(tmp_path, data), "inswapper_128")
