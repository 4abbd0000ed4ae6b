"""A good model becomes a folder with the same bytes every time; a bad one is refused in a line and changes nothing."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from morphstream.artifact.errors import ModelError
from stages.files import PREPARED
from stages.prepare import prepare
from stages.surgery.emap import find_emap
from tests.stages import PARAMS, files_in, loaded, original, read_json, refusal, run_stage

NAME = "fan_68_5"
SOURCE = Path("build", PARAMS.model(NAME).file)


def put(data: bytes, path: Path = SOURCE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def altered(data: bytes) -> bytes:
    return data.replace(b"MatMul", b"NatMul", 1)


def other_contract(data: bytes) -> bytes:
    return original("gfpgan")


def empty(data: bytes) -> bytes:
    return b""


def a_web_page(data: bytes) -> bytes:
    return b"<!DOCTYPE html><html><head><title>Sign in</title></head></html>"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        pytest.param(truncated, "build/models/fan_68_5.onnx: expected a valid ONNX model, seen ", id="truncated"),
        pytest.param(altered, "build/models/fan_68_5.onnx: expected a valid ONNX model, seen ", id="altered"),
        pytest.param(empty, "build/models/fan_68_5.onnx: expected a valid ONNX model, seen ", id="empty"),
        pytest.param(a_web_page, "build/models/fan_68_5.onnx: expected a valid ONNX model, seen ", id="a web page"),
        pytest.param(
            other_contract,
            "models/fan_68_5.onnx: input input: expected shape (1, 5, 2), seen (1, 3, 512, 512)",
            id="of another contract",
        ),
    ],
)
def test_a_bad_model_is_refused_and_the_last_good_one_stays(
    workspace: Path, fault: Callable[[bytes], bytes], message: str
) -> None:
    put(original(NAME))
    prepare(PARAMS.model(NAME), SOURCE, PREPARED / NAME)
    before = files_in(PREPARED)
    put(fault(original(NAME)))
    assert refusal(workspace, "prepare", NAME).startswith(f"prepare {NAME}: {message}")
    assert files_in(PREPARED) == before


def test_a_missing_model_and_an_unknown_one_are_refused(workspace: Path) -> None:
    assert str(SOURCE) in refusal(workspace, "prepare", NAME)
    assert "models: expected one of fan_68_5, " in refusal(workspace, "prepare", "nobody")
    assert not PREPARED.exists()


def test_random_damage_is_refused_or_harmless_but_no_crash(workspace: Path) -> None:
    chance = random.Random(11)
    data = original("gfpgan")
    refused = 0
    for _ in range(200):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        put(bytes(damaged))
        try:
            prepare(PARAMS.model("gfpgan"), SOURCE, PREPARED / "gfpgan")
        except ModelError:
            refused += 1
    assert refused > 50


def test_two_processes_write_the_same_bytes(workspace: Path) -> None:
    put(original(NAME))
    folders = []
    for _ in range(2):
        done = run_stage(workspace, "prepare", NAME)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        folders.append(files_in(PREPARED))
    assert set(folders[0]) == {f"{NAME}/{name}" for name in ("fp32.onnx", "fp16.onnx", "contract.json")}
    assert folders[0] == folders[1]


def test_a_model_with_emap_has_it_beside(workspace: Path) -> None:
    path = Path("build", PARAMS.model("inswapper_128").file)
    put(original("inswapper_128"), path)
    prepare(PARAMS.model("inswapper_128"), path, PREPARED / "inswapper_128")
    assert set(files_in(PREPARED / "inswapper_128")) == {"fp32.onnx", "emap.npy", "contract.json"}
    emap = find_emap(loaded("inswapper_128"))
    assert emap is not None
    np.testing.assert_array_equal(np.load(PREPARED / "inswapper_128/emap.npy"), emap)


def test_what_was_prepared_before_is_replaced_as_a_whole(workspace: Path) -> None:
    put(original(NAME))
    (PREPARED / NAME).mkdir(parents=True)
    (PREPARED / NAME / "emap.npy").write_bytes(b"of another model")
    prepare(PARAMS.model(NAME), SOURCE, PREPARED / NAME)
    assert set(files_in(PREPARED)) == {f"{NAME}/{name}" for name in ("fp32.onnx", "fp16.onnx", "contract.json")}


@pytest.mark.parametrize("name", ["w600k_r50", "hyperswap_1a_256"])
def test_contract_json_says_what_the_prepared_model_takes_and_gives(workspace: Path, name: str) -> None:
    model = PARAMS.model(name)
    put(original(name), Path("build", model.file))
    prepare(model, Path("build", model.file), PREPARED / name)
    contract = read_json(PREPARED / name / "contract.json")
    prepared = onnx.load_model(PREPARED / name / "fp32.onnx")
    assert {key: contract[key] for key in ("model", "role", "group", "precision")} == {
        "model": name,
        "role": model.role,
        "group": model.group,
        "precision": model.precision,
    }
    for key, values in (("inputs", prepared.graph.input), ("outputs", prepared.graph.output)):
        assert list(contract[key]) == [value.name for value in values]
    assert contract["inputs"]["crop"]["dtype"] == "uint8"
    assert json.dumps(contract, indent=2) + "\n" == (PREPARED / name / "contract.json").read_text("utf-8")
