"""The farm as its users run it: it rebuilds what was chosen and nothing else, and survives being killed.

One workspace, of three models and two targets, is built by the farm once; the tests copy it.
"""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from morphstream.artifact.archive import describe
from morphstream.artifact.digest import verify_file
from morphstream.artifact.manifest import EngineManifest
from stages.farm.plan import plan as make_plan
from stages.pack import archived_files
from stages.params import load_params
from tests.stages import files_in, needs_rtx, reduced
from tests.test_pipeline import Clone, built_once, copy_project

pytestmark = needs_rtx

MODELS = ("fan_68_5", "inswapper_128_fp16", "xseg_1")
TARGETS = ("cpu", "rtx-sm89")
PACKS = [f"pipeline/pack/dvc.yaml:pack@{target}" for target in TARGETS]
RTX_CACHE = "sm89/rtx1.7_ort1.31"
CHANGED = ("declared/", "dvc.lock", "pipeline/")  # by a rebuild that is refused
FARM = ("python", "-m", "stages.farm")


@pytest.fixture(scope="module")
def farmed(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Build every engine with the farm, in one of the processes that run tests; each has a copy."""
    folder = tmp_path_factory.mktemp("farm") / "farmed"
    shutil.copytree(built_once(tmp_path_factory, "farm", farm_all).folder, folder, symlinks=True)
    return Clone(folder)


def farm_all(clone: Clone) -> None:
    """Build every engine with the farm, and commit."""
    copy_project(clone, MODELS, TARGETS)
    printed = clone.run(*FARM, "rebuild", "--all", "--jobs", "2").splitlines()
    assert printed[-1] == "9 stages: 9 run"
    assert sorted(line.rpartition("(")[2] for line in printed[:-1]) == sorted(f"{i} of 9)" for i in range(1, 10))
    clone.commit()


@pytest.fixture
def copy(farmed: Clone, tmp_path: Path) -> Clone:
    """Copy the workspace with all that was built, and DVC's cache."""
    folder = tmp_path / "copy"
    shutil.copytree(farmed.folder, folder, symlinks=True)
    return Clone(folder)


def built(clone: Clone) -> dict[str, bytes]:
    """Return every file of build/ but for how long engines were built, and the dvc.lock files."""
    files = files_in(clone.folder / "build").items()
    return {**{name: data for name, data in files if not name.startswith("measured/seconds/")}, **clone.locks()}


def rebuilt(clone: Clone, *options: str) -> dict[str, str]:
    """Run a rebuild and return how each stage was done that wasn't up to date."""
    lines = clone.run(*FARM, "rebuild", *options, "--jobs", "2").splitlines()
    done = (line.rpartition(" (")[0].partition(" ") for line in lines[:-1])
    return {stage: "run" if how.endswith(" s") else how for stage, _, how in done}


def refused(clone: Clone, *options: str) -> str:
    """Run a rebuild that must refuse, and return its last line."""
    farm = clone.start(*FARM, "rebuild", *options)
    output, _ = farm.communicate()
    assert farm.returncode == 1, output
    return output.splitlines()[-1]


def plan(clone: Clone, *options: str) -> dict[str, list[str]]:
    """Return why each stage is stale."""
    return {one["stage"]: one["why"] for one in json.loads(clone.run(*FARM, "plan", "--json", *options))}


def change(clone: Clone, *keys: str, value: Any) -> None:
    """Set a value in params.yaml."""
    path = clone.folder / "params.yaml"
    data = yaml.safe_load(path.read_text("utf-8"))
    above = data
    for key in keys[:-1]:
        above = above[key]
    above[keys[-1]] = value
    path.write_text(yaml.safe_dump(data, sort_keys=False), "utf-8")


def check_caches(clone: Clone) -> None:
    """Check that every cache that is there holds exactly the files that its manifest names."""
    for path in clone.workspace.caches.glob("*/*/manifest.json"):
        manifest = EngineManifest.from_json(path.read_bytes())
        assert {file.name for file in path.parent.iterdir()} == {"manifest.json", *manifest.engine_files}
        for name, entry in manifest.engine_files.items():
            assert entry.digest is not None
            verify_file(path.parent / name, entry.digest)


def test_after_the_farm_dvc_has_nothing_to_do(farmed: Clone) -> None:
    assert farmed.repro(*PACKS) == set()
    assert farmed.run("git", "status", "--porcelain") == ""
    assert list(farmed.locked()) == [
        "declare",
        *(f"{verb}@{model}" for verb in ("engines", "fetch") for model in MODELS),
        *(f"pack@{target}" for target in TARGETS),
    ]
    assert plan(farmed, "--target", "rtx-sm89", "--target", "cpu") == {}
    check_caches(farmed)


def test_a_rebuild_of_what_is_up_to_date_runs_nothing_and_a_forced_one_changes_nothing(copy: Clone) -> None:
    before = built(copy)
    assert rebuilt(copy, "--group", "masks", "--target", "rtx-sm89") == {}
    printed = copy.run(*FARM, "rebuild", "--engine", "rtx-sm89/xseg_1", "--force", "--json").splitlines()
    events = [json.loads(line) for line in printed]
    assert [event["stage"] for event in events if event.get("how") == "run"] == ["engines@xseg_1"]
    lines = [event["output"] for event in events if event["event"] == "line"]
    assert [line for line in lines if line.startswith(("prepare ", "compile "))] == ["compile rtx-sm89 xseg_1"]
    assert events[-1] == {"event": "end", "counts": {"up to date": 3, "run": 1}}
    assert built(copy) == before


def test_a_target_that_comes_builds_its_own_engines_alone(copy: Clone) -> None:
    new, archive = "rtx-sm86", "rtx-cache-sm86.tar.zst"
    change(copy, "build_targets", new, value=reduced([], [new])["build_targets"][new])
    copy.run("python", "-m", "stages.prune")
    printed = copy.run("dvc", "repro", *PACKS, f"pipeline/pack/dvc.yaml:pack@{new}").splitlines()
    assert {line for line in printed if line.startswith("compile")} == {f"compile {new} {model}" for model in MODELS}
    assert not [line for line in printed if line.startswith("Running") and "pack@" in line and new not in line]
    check_caches(copy)
    here = copy.workspace
    assert set(describe(here.archives / archive).files) == set(archived_files(here, load_params(here.params))[archive])


def test_a_fresh_clone_builds_what_is_chosen_and_merges_it_into_the_cache_that_is_there(
    farmed: Clone, tmp_path: Path
) -> None:
    clone = farmed.clone(tmp_path / "clone")
    shutil.copytree(farmed.workspace.caches / RTX_CACHE, clone.workspace.caches / RTX_CACHE)
    done = rebuilt(clone, "--model", "xseg_1", "--target", "rtx-sm89")
    assert done == dict.fromkeys(("declare", "fetch@xseg_1", "engines@xseg_1", "pack@rtx-sm89"), "run")
    before, after = built(farmed), built(clone)
    assert after == {name: before[name] for name in after}  # the locks, too
    made = ("prepared/xseg_1/", "check/xseg_1.json", "measured/check/xseg_1.json")
    wanted = ("declared/", "models/xseg_1.onnx", *made, "engines/xseg_1/")
    assert set(after) - {name for name in before if name.startswith((*wanted, "trt_cache/sm89/"))} == {*clone.locks()}


def test_a_plan_lists_reasons_and_changes_no_file(copy: Clone) -> None:
    engine = next((copy.workspace.engines / "fan_68_5/cpu").glob("*.bin"))
    engine.unlink()
    engine.write_bytes(b"altered")
    change(copy, "models", "xseg_1", "batches", value=[1, 3])
    change(copy, "targets", "rtx-sm89", "toolchain", "tensorrt_rtx", value="1.7.2")
    with (copy.folder / "stages/check.py").open("a") as source:
        source.write("\n")
    before = files_in(copy.folder)
    stale = plan(copy)
    assert {name: data for name, data in files_in(copy.folder).items() if not name.startswith(".dvc/tmp")} == {
        name: data for name, data in before.items() if not name.startswith(".dvc/tmp")
    }
    toolchain = "toolchain: tensorrt_rtx 1.7.1.116 -> 1.7.2"
    assert stale["declare"] == ["params.yaml changed", "source of stages changed"]
    checked = "check: its source changed"
    batches = "prepare: params: batches [1, 2, 4] -> [1, 3]"
    assert sorted(stale["engines@xseg_1"]) == [checked, batches, f"rtx-sm89: {toolchain}"]
    assert sorted(stale["engines@fan_68_5"]) == [
        "build/engines/fan_68_5 was altered",
        checked,
        f"rtx-sm89: {toolchain}",
    ]
    assert stale["pack@rtx-sm89"][0] == toolchain
    assert stale["pack@cpu"] == [f"engines@{model} is stale" for model in MODELS]
    assert stale["validate"] == ["never built"]
    assert "fetch@xseg_1" not in stale
    chosen = plan(copy, "--group", "masks", "--target", "cpu")
    assert set(chosen) == {"declare", "engines@xseg_1", "pack@cpu"}


@pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # of a library that DVC uses
def test_a_plan_is_the_same_from_another_folder(farmed: Clone) -> None:
    here = farmed.workspace
    stale = make_plan(here, load_params(here.params), None)
    assert [(one.stage, list(one.why)) for one in stale] == list(plan(farmed).items())
    assert "validate" in {one.stage for one in stale}


def test_a_stage_refuses_in_its_own_words_and_nothing_is_lost(copy: Clone) -> None:
    before = built(copy)
    change(copy, "targets", "rtx-sm89", "toolchain", "tensorrt_rtx", value="1.7.2")
    message = refused(copy, "--all")
    assert message.startswith("farm rebuild --all: engines ")
    assert message.endswith("this machine has 1.7.1.116; install 1.7.2 or change the target")
    kept = {name: data for name, data in built(copy).items() if not name.startswith(CHANGED)}
    assert kept == {name: before[name] for name in kept}
    assert set(before) - set(kept) == {name for name in before if name.startswith(CHANGED)}


def test_what_dvc_s_cache_has_is_not_built_again(copy: Clone) -> None:
    before = built(copy)
    for model in MODELS:
        shutil.rmtree(copy.workspace.engines / model)
    done = rebuilt(copy, "--all", "--target", "cpu")
    assert done == {f"engines@{model}": "restored from DVC's cache" for model in MODELS}
    assert built(copy) == before


def test_a_rebuild_that_is_killed_anywhere_leaves_whole_caches_and_the_next_has_the_same_digests(
    copy: Clone,
) -> None:
    before = built(copy)
    farm = copy.start(*FARM, "rebuild", "--all", "--force", "--jobs", "2")
    assert farm.stdout is not None
    farm.stdout.readline()
    os.kill(farm.pid, signal.SIGKILL)  # the farm alone, which takes its programs with it
    farm.communicate()  # ends when all that hold its output have ended
    check_caches(copy)
    moments = random.Random(0)
    for _ in range(2):
        farm = copy.start(*FARM, "rebuild", "--all", "--force", "--jobs", "2")
        time.sleep(moments.uniform(0.7, 2.8))
        os.killpg(farm.pid, signal.SIGKILL)
        farm.communicate()
        check_caches(copy)
    (copy.folder / ".dvc/tmp/rwlock").write_text('{"read": {"', "utf-8")
    rebuilt(copy, "--all", "--force")
    assert built(copy) == before
    assert copy.repro(*PACKS) == set()


def test_while_a_dvc_runs_a_stage_the_farm_refuses(copy: Clone) -> None:
    repro = copy.start("dvc", "repro", "--force", "--single-item", "pipeline/engines/dvc.yaml:engines@xseg_1")
    while "engines/xseg_1" not in (copy.folder / ".dvc/tmp/rwlock").read_text("utf-8"):
        time.sleep(0.01)
    said = refused(copy, "--all")
    repro.communicate()
    assert f"(process {repro.pid}: " in said
    assert said.endswith(("; wait for it, or if it isn't DVC remove .dvc/tmp/rwlock", "; wait for it"))


def test_an_interrupted_rebuild_stops_what_runs(copy: Clone) -> None:
    farm = copy.start(*FARM, "rebuild", "--all", "--force", "--jobs", "1")
    assert farm.stdout is not None
    farm.stdout.readline()
    farm.send_signal(signal.SIGINT)
    output, _ = farm.communicate()
    assert farm.returncode == 130
    assert "Traceback" not in output
    assert not [name for name in built(copy) if ".part" in name or ".old" in name]
    with pytest.raises(ProcessLookupError):
        os.killpg(farm.pid, 0)
    check_caches(copy)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("rebuild", "--group", "mask"), 1),
        (("plan", "--model", "xseg"), 1),
        (("rebuild", "--all", "--target", "sm89"), 1),
        (("rebuild",), 2),
        (("rebuild", "--target", "cpu"), 2),
        (("plan", "--target", "cpu", "--engine", "cpu/xseg_1"), 2),
        (("rebuild", "--all", "--jobs", "0"), 2),
        ((), 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_an_unknown_name_is_refused_and_nothing_chosen_is_wrong_usage(
    farmed: Clone, options: tuple[str, ...], code: int
) -> None:
    farm = farmed.start(*FARM, *options)
    output, _ = farm.communicate()
    assert farm.returncode == code
    assert output.startswith("usage: " if code == 2 else f"farm {' '.join(options)}: {options[-2]}: expected one of ")
