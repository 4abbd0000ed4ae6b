"""Results are shared by DVC's remote, and DVC's views of the pipeline can be read: docs/pipeline.md."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.test_pipeline import Clone, built_once, copy_project

MODEL = "xseg_1"
PACK = "pipeline/pack/dvc.yaml:pack@cpu"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Build one model's engines, in one of the processes that run tests; each has a copy of all but the remote."""
    folder = tmp_path_factory.mktemp("sharing") / "shared"
    shutil.copytree(built_once(tmp_path_factory, "sharing", build_and_push).folder, folder, symlinks=True)
    return Clone(folder)


def build_and_push(clone: Clone) -> None:
    """Build one model's engines, and push them with the run cache to a folder."""
    copy_project(clone, [MODEL], ["cpu"])
    clone.run("dvc", "remote", "add", "--default", "folder", str(clone.folder.parent / "remote"))
    assert clone.repro(PACK) == {"declare", f"fetch@{MODEL}", f"engines@{MODEL}", "pack@cpu"}
    clone.commit()
    clone.run("dvc", "push", "--quiet", "--run-cache")


def test_a_fresh_clone_runs_nothing_and_needs_no_data_for_it(shared: Clone, tmp_path: Path) -> None:
    clone = shared.clone(tmp_path / "clone")
    assert clone.repro("--pull", "--allow-missing", PACK) == set()
    assert not clone.workspace.engines.exists()
    assert clone.repro("--pull", PACK) == set()
    assert (clone.workspace.engines / MODEL / "cpu").is_dir()
    assert clone.run("git", "status", "--porcelain") == ""


def test_what_another_made_of_other_params_comes_out_of_the_run_cache(shared: Clone, tmp_path: Path) -> None:
    one, other = (shared.clone(tmp_path / name) for name in ("one", "other"))
    for clone in (one, other):
        clone.change_params({MODEL: {"batches": [1, 3]}})
    assert f"engines@{MODEL}" in one.repro("--pull", PACK)
    one.run("dvc", "push", "--quiet", "--run-cache")
    assert other.repro("--pull", PACK) == set()
    assert other.locks() == one.locks()


def test_an_experiment_runs_what_its_params_concern(shared: Clone, tmp_path: Path) -> None:
    clone = shared.clone(tmp_path / "clone")
    clone.repro("--pull", PACK)
    clone.run("git", "config", "user.name", "tests")
    clone.run("git", "config", "user.email", "tests@localhost")
    printed = clone.run("dvc", "exp", "run", "--set-param", f"models.{MODEL}.batches=[1,3]", PACK)
    assert f"prepare {MODEL}" in printed.splitlines()
    assert "Running stage 'pipeline/fetch" not in printed
    assert f"models.{MODEL}.batches" in clone.run("dvc", "exp", "diff")
    assert f"models.{MODEL}.batches" in clone.run("dvc", "params", "diff")


def test_garbage_is_what_this_workspace_does_not_need(shared: Clone, tmp_path: Path) -> None:
    clone = shared.clone(tmp_path / "clone")
    clone.repro("--pull", PACK)
    (clone.folder / "other").write_text("other", "utf-8")
    clone.run("dvc", "add", "--quiet", "other")
    (clone.folder / "other.dvc").unlink()
    (clone.folder / "other").unlink()
    clone.run("dvc", "gc", "--workspace", "--force", "--quiet")
    shutil.rmtree(clone.workspace.build)
    clone.run("dvc", "checkout", "--quiet", f"pipeline/fetch/dvc.yaml:fetch@{MODEL}")  # what persists isn't restored
    assert clone.repro(PACK) == set()
    assert not (clone.folder / ".dvc/cache/files/md5/79/5f3202b17cb6bc3d4b771d8c6c9eaf").exists()


def test_the_pipeline_is_shown_in_a_few_lines(shared: Clone) -> None:
    shown = shared.run("dvc", "dag", "--dot", "--collapse-foreach-matrix")
    for stage in ("declare", "fetch", "engines", "pack", "models", "validate", "report"):
        assert f'{stage}"' in shown
    assert len(shown.splitlines()) < 30
    own = shared.run("dvc", "dag", f"pipeline/engines/dvc.yaml:engines@{MODEL}")
    assert max(map(len, own.splitlines())) < 120
    metrics = shared.run("dvc", "metrics", "show", f"build/check/{MODEL}.json").splitlines()
    assert len(metrics) == 2
    assert "cpu.psnr_db" in metrics[0]


def test_a_stage_that_runs_is_named_by_a_second_repro_and_so_is_the_list_of_them(shared: Clone, tmp_path: Path) -> None:
    clone = Clone(tmp_path / "copy")
    shutil.copytree(shared.folder, clone.folder, symlinks=True)
    rwlock = clone.folder / ".dvc/tmp/rwlock"
    with subprocess.Popen(["sleep", "60"]) as other:
        path = clone.workspace.engines / MODEL
        rwlock.write_text(f'{{"write": {{"{path}": {{"pid": {other.pid}, "cmd": "dvc repro"}}}}}}', "utf-8")
        second = clone.start("dvc", "repro", "--force", "--single-item", f"pipeline/engines/dvc.yaml:engines@{MODEL}")
        output, _ = second.communicate()
        other.kill()
    assert second.returncode
    assert f"(PID {other.pid}): dvc repro" in output
    assert os.path.relpath(rwlock, clone.folder) in output
