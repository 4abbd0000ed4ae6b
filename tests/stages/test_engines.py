"""`engines` prepares a model, builds its engines and checks them; what was made of the same before, it keeps."""

import shutil

import pytest

from stages.params import Params
from stages.workspace import Workspace
from tests.stages import document, files_in, refusal, run_stage, write_params

MODEL = "fan_68_5"


def made(workspace: Workspace, *options: str) -> list[str]:
    """Run it and return what it made."""
    done = run_stage(workspace, "engines", MODEL, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_everything_is_made_once_and_again_where_it_is_forced(workspace: Workspace, built: Params) -> None:
    assert made(workspace) == [f"prepare {MODEL}", f"compile cpu {MODEL}"]  # what others put there has no record
    before = files_in(workspace.build)
    verdict = before[f"check/{MODEL}.json"]
    assert b'"cpu"' in verdict
    (workspace.checked / f"{MODEL}.json").unlink()
    assert made(workspace) == []
    assert (workspace.checked / f"{MODEL}.json").read_bytes() == verdict
    assert made(workspace, "--force", "--jobs", "1") == [f"prepare {MODEL}", f"compile cpu {MODEL}"]
    after = files_in(workspace.build)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {f"measured/seconds/cpu/{MODEL}.json"}
    assert MODEL in built.models


def change(workspace: Workspace, params: Params, section: str, name: str, **keys: object) -> None:
    """Change params.yaml of a built workspace."""
    data = document()
    data["models"] = {model: data["models"][model] for model in params.models}
    data["build_targets"] = {target: data["build_targets"][target] for target in params.builds}
    data[section][name] |= keys
    write_params(workspace.root, data)


def test_a_change_makes_its_own_part_again(workspace: Workspace, built: Params) -> None:
    made(workspace)
    next((workspace.engines / MODEL / "cpu").glob("*.bin")).write_bytes(b"altered")
    assert made(workspace) == [f"compile cpu {MODEL}"]
    change(workspace, built, "models", MODEL, tolerance={"cosine": 0.9, "levels": 2, "pixels": 1.0})
    assert made(workspace) == []
    change(workspace, built, "models", MODEL, batches=[1, 3])
    assert made(workspace) == [f"prepare {MODEL}", f"compile cpu {MODEL}"]


def test_a_check_that_fails_leaves_no_verdict_and_what_was_made(workspace: Workspace, built: Params) -> None:
    change(workspace, built, "models", MODEL, tolerance={"pixels": 0.0001})
    done = run_stage(workspace, "engines", MODEL)
    assert done.returncode == 1
    assert "fp16 to prepared: points68: expected" in done.stderr.splitlines()[-1]
    assert not (workspace.checked / f"{MODEL}.json").exists()
    change(workspace, built, "models", MODEL)
    assert made(workspace) == []
    assert (workspace.checked / f"{MODEL}.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("xseg",), "expected one of fan_68_5, inswapper_128_fp16, xseg_1, seen"),
        ((MODEL, "cpu"), "target: expected a target that needs its own GPU, one of none, seen 'cpu'; name it, or none"),
        ((MODEL, "trt"), "target: expected a target that needs its own GPU"),
    ],
)
def test_what_params_do_not_name_is_refused(workspace: Workspace, arguments: tuple[str, ...], message: str) -> None:
    assert message in refusal(workspace, "engines", *arguments)


def test_another_toolchain_is_refused_in_one_line_and_leaves_nothing(workspace: Workspace, built: Params) -> None:
    change(workspace, built, "targets", "cpu", toolchain={"openvino": "2026.4.9"})
    done = run_stage(workspace, "engines", MODEL)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"engines {MODEL}: targets.cpu.toolchain: declared openvino 2026.4.9, this machine has")
    assert not [name for name in files_in(workspace.build) if ".part" in name or ".old" in name]


def test_a_target_that_needs_its_gpu_is_built_apart_and_refused_without_it(workspace: Workspace, built: Params) -> None:
    data = document()
    data["models"] = {model: data["models"][model] for model in built.models}
    data["build_targets"] = {
        "cpu": data["build_targets"]["cpu"],
        "trt-sm89": {"cache_key": "sm89/trt10.14_ort1.24", "archive": "trt-cache-sm89"},
    }
    write_params(workspace.root, data)
    assert made(workspace) == [f"prepare {MODEL}", f"compile cpu {MODEL}"]
    done = run_stage(workspace, "engines", MODEL, "trt-sm89")
    assert (done.returncode, done.stdout) == (1, f"compile trt-sm89 {MODEL}\n")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"engines {MODEL} trt-sm89: targets.trt-sm89.toolchain: declared ")
    assert not (workspace.gpu_engine / MODEL / "trt-sm89").exists()


def test_no_jobs_are_wrong_usage(workspace: Workspace) -> None:
    assert run_stage(workspace, "engines", MODEL, "--jobs", "0").returncode == 2


def test_what_is_prepared_is_made_again_where_dvc_brought_the_engines_alone(
    workspace: Workspace, built: Params
) -> None:
    before = files_in(workspace.prepared / MODEL)
    shutil.rmtree(workspace.prepared)
    for arguments in (("compile", "cpu", MODEL), ("check", MODEL)):
        done = run_stage(workspace, *arguments)
        assert done.returncode == 0, done.stderr
        assert files_in(workspace.prepared / MODEL) == before
        shutil.rmtree(workspace.prepared)
