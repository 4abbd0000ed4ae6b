"""The pipeline as its users run it, by DVC: nothing runs twice, no archive is ever incomplete, nothing stays behind.

One workspace, of four models, is built and pushed to a remote once; the tests clone it.
"""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from morphstream.artifact.archive import describe
from morphstream.artifact.manifest import ArchivesManifest
from stages.lists import pipeline_files, stage_names
from stages.lock import read_locks
from stages.pack import archived_files
from stages.params import Params, load_params
from stages.workspace import Workspace
from tests.loopback.server import Hub
from tests.stages import ROOT, files_in, reduced, write_params

MODELS = ("det_10g", "w600k_r50", "inswapper_128_fp16", "xseg_1")
TARGETS = ("cpu",)  # the farm's tests have two, and one more comes there
ALTERED, GONE = "w600k_r50", "xseg_1"
GATHERING = ("models", "validate", "report")
LOCKS = ("dvc.lock", *(f"pipeline/{verb}/dvc.lock" for verb in ("engines", "fetch", "pack")))


@dataclass(frozen=True)
class Clone:
    """A clone in which DVC runs."""

    folder: Path

    @property
    def workspace(self) -> Workspace:
        """Its workspace."""
        return Workspace(self.folder)

    def run(self, *command: str) -> str:
        """Run a command that must succeed and return what it printed."""
        done = self.start(*command)
        output, _ = done.communicate()
        assert done.returncode == 0, output
        return output

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        site = str(self.folder.parent / "site")
        environment = os.environ | {"PATH": path, "PYTHONPATH": str(self.folder / "runtime")}
        environment |= {"DVC_SITE_CACHE_DIR": site, "DVC_NO_ANALYTICS": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def repro(self, *options: str) -> set[str]:
        """Run ``dvc repro`` and return the stages whose program ran, by name."""
        return set(re.findall(r"^Running stage '(?:.+:)?(.+)':$", self.run("dvc", "repro", *options), re.MULTILINE))

    def commit(self) -> None:
        """Commit all that Git does not ignore."""
        self.run("git", "add", "--all")
        names = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
        self.run("git", *names, "commit", "--quiet", "--message", "All")

    def clone(self, folder: Path) -> "Clone":
        """Clone it, with the detector's package beside, as ``make setup`` puts it there."""
        self.run("git", "clone", "--quiet", str(self.folder), str(folder))
        copy_compiled(self.folder, folder)
        if (ROOT / ".cache").is_dir():
            shutil.copytree(ROOT / ".cache", folder / ".cache")
        return Clone(folder)

    def change_params(self, change: Mapping[str, Any]) -> None:
        """Set keys of models; None removes the model."""
        data = yaml.safe_load((self.folder / "params.yaml").read_text("utf-8"))
        for model, keys in change.items():
            if keys is None:
                del data["models"][model]
            else:
                data["models"][model].update(keys)
        write_params(self.folder, data)

    def locked(self) -> dict[str, Any]:
        """Return what the dvc.lock files say of each stage."""
        return read_locks(self.workspace)

    def locks(self) -> dict[str, bytes]:
        """Return the dvc.lock files."""
        return {name: (self.folder / name).read_bytes() for name in LOCKS if (self.folder / name).exists()}


def built_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Clone], object]) -> Clone:
    """Build a workspace that all processes share that run tests; the first of them does so."""
    base = factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    shared.mkdir(exist_ok=True)
    clone = Clone(shared / "first")
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "built").exists():
            shutil.rmtree(clone.folder, ignore_errors=True)
            build(clone)
            (shared / "built").touch()
    return clone


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Build the workspace, commit and push it."""
    return built_once(tmp_path_factory, "pipeline", build)


def build(clone: Clone) -> None:
    """Copy the project's files, run everything, commit and push it."""
    copy_project(clone, MODELS, TARGETS)
    clone.run("dvc", "remote", "add", "--default", "shared", str(clone.folder.parent / "remote"))
    clone.repro()
    clone.commit()
    clone.run("dvc", "push", "--quiet", "--run-cache")


def copy_project(clone: Clone, models: Iterable[str], targets: Iterable[str]) -> None:
    """Copy the project's files as they are now, with a shorter params.yaml and nothing built."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "bench/")):
            (clone.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone.folder / name)
    copy_compiled(ROOT, clone.folder)
    for name in LOCKS:
        (clone.folder / name).unlink(missing_ok=True)
    clone.run("git", "init", "--quiet")
    if (ROOT / ".cache").is_dir():
        shutil.copytree(ROOT / ".cache", clone.folder / ".cache")
    write_params(clone.folder, reduced(models, targets))
    clone.run("python", "-m", "stages.prune")


def copy_compiled(source: Path, folder: Path) -> None:
    """Copy the modules again, with their times and with what Python compiled of them, which spares each clone that."""
    for name in ("runtime", "stages"):
        shutil.copytree(source / name, folder / name, dirs_exist_ok=True)


def check_archives(clone: Clone) -> Params:
    """Check that every archive holds exactly what params.yaml names, and return params.yaml."""
    here = clone.workspace
    params = load_params(here.params)
    wanted = {name: set(files) for name, files in archived_files(here, params).items()}
    packed = {path.name: describe(path) for path in here.archives.glob("*.tar.zst") if path.name in wanted}
    manifest = ArchivesManifest.from_json((here.manifests / "archives.json").read_bytes())
    assert {name: set(archive.files) for name, archive in packed.items()} == wanted
    assert {name: entry.digest for name, entry in manifest.archives.items()} == {
        name: archive.archive for name, archive in packed.items()
    }
    return params


def test_a_run_makes_whole_archives_and_a_second_runs_nothing(first: Clone) -> None:
    check_archives(first)
    head, *rows = first.run("dvc", "metrics", "show").splitlines()
    assert head.split()[:3] == ["Path", "cpu", "fp16"]
    (row,) = (row.split() for row in rows if f"models/{ALTERED}.json" in row)
    assert row[1:7] == ["cosine", ">=", "0.99999"] * 2
    page = (first.workspace.report / "index.html").read_text("utf-8")
    assert "Every engine that was built was executed." in page
    assert "image/gif" in page
    assert first.repro() == set()
    assert first.run("git", "status", "--porcelain") == ""


def test_a_changed_precision_runs_its_own_stages_and_what_follows_in_a_fresh_clone_too(
    first: Clone, tmp_path: Path
) -> None:
    clone = first.clone(tmp_path / "clone")
    clone.change_params({ALTERED: {"precision": "fp32"}})
    ran = clone.repro("--pull", "--allow-missing")
    assert ran == {"declare", f"engines@{ALTERED}", *(f"pack@{target}" for target in TARGETS), *GATHERING}
    check_archives(clone)
    before, after = first.locked(), clone.locked()
    assert {stage for stage in after if before[stage] != after[stage]} == ran
    (difference,) = re.findall(rf"build/parity/models/{ALTERED}.json +fp16 .*", clone.run("dvc", "metrics", "diff"))
    assert difference.split()[2:] == ["cosine", ">=", "0.99999", "-", "-"]


def test_a_removed_model_is_in_no_archive_and_prune_removes_the_rest(first: Clone, tmp_path: Path) -> None:
    clone = first.clone(tmp_path / "clone")
    clone.run("dvc", "pull", "--quiet")
    clone.change_params({GONE: None})
    refused = clone.start("dvc", "repro")
    assert "run: python -m stages.prune" in refused.communicate()[0]
    leftovers = clone.run("python", "-m", "stages.prune").splitlines()
    clone.repro("validate")
    params = check_archives(clone)
    assert GONE not in params.models
    for archive in clone.workspace.archives.iterdir():
        assert not [name for name in describe(archive).files if GONE in name]

    assert f"build/models/{GONE}.onnx" in leftovers
    assert f"dvc.lock: fetch@{GONE}" in leftovers
    left = [name for name in files_in(clone.folder / "build") if GONE in name]
    assert left == [f"parity/models/{GONE}.json"]  # the report's, which removes it when it runs
    assert not [stage for stage in clone.locked() if GONE in stage]
    assert clone.repro("validate") == set()
    assert clone.run("python", "-m", "stages.prune") == ""


def test_a_model_that_comes_and_goes_leaves_the_locks_as_they_were_and_its_engines_alone_are_built(
    first: Clone, tmp_path: Path
) -> None:
    clone = first.clone(tmp_path / "clone")
    clone.run("dvc", "pull", "--quiet")
    data = yaml.safe_load((clone.folder / "params.yaml").read_text("utf-8"))
    models = {"xseg_2": reduced(["xseg_2"], [])["models"]["xseg_2"], **data["models"]}  # before all others
    write_params(clone.folder, data | {"models": models})
    clone.run("python", "-m", "stages.prune")
    ran = clone.repro("validate")
    packed = (*(f"pack@{target}" for target in TARGETS), *GATHERING[:2])
    assert ran == {"declare", "fetch@xseg_2", "engines@xseg_2", *packed}
    assert list(clone.locked()) == [name for path in pipeline_files(clone.workspace) for name in stage_names(path)]
    assert clone.locked()["engines@xseg_1"] == first.locked()["engines@xseg_1"]
    clone.run("git", "checkout", "--quiet", "params.yaml")
    assert "dvc.lock: engines@xseg_2" in clone.run("python", "-m", "stages.prune")
    assert not [stage for stage in clone.repro() if stage.startswith(("fetch", "engines"))]
    assert clone.locks() == first.locks()
    assert clone.run("git", "status", "--porcelain") == ""


def test_a_run_that_was_killed_ends_with_the_same_locks_in_another_folder(first: Clone, tmp_path: Path) -> None:
    clone = first.clone(tmp_path / "another" / "clone")
    for name in LOCKS:
        (clone.folder / name).unlink()
    repro = clone.start("dvc", "repro", "pipeline/pack/dvc.yaml:pack@cpu")
    assert repro.stdout is not None
    for line in repro.stdout:
        if line.startswith("compile cpu"):
            break
    os.killpg(repro.pid, signal.SIGKILL)
    repro.communicate()
    assert clone.repro("pipeline/engines/dvc.yaml:engines@xseg_1") >= {"engines@xseg_1"}
    clone.repro()
    assert clone.locks() == first.locks()
    assert clone.run("git", "status", "--porcelain") == ""
    assert not [name for name in files_in(clone.folder / "build") if ".part" in name]


def test_a_clone_with_the_hub_as_origin_rebuilds_what_another_published(
    first: Clone, tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in hub.environment(tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    first.run("python", "-m", "stages.publish")

    clone = first.clone(tmp_path / "clone")
    data = yaml.safe_load((clone.folder / "params.yaml").read_text("utf-8"))
    write_params(clone.folder, data | {"origin": "hub"})
    diff = clone.run("python", "-m", "stages.fetch", "--pin")
    served = hub.repository(data["hub"]["repo"])
    assert f"+  revision: {served.tip()}" in diff
    clone.run("dvc", "pull", "--quiet", "pipeline/engines/dvc.yaml")  # of the same models, whoever they came from
    stages = tuple(f"pipeline/pack/dvc.yaml:{name}" for name in ("pack@cpu", "models"))
    ran = clone.repro(*stages)
    assert {f"fetch@{model}" for model in MODELS} <= ran

    published = {path: served.read(entry) for path, entry in served.files(served.tip()).items()}
    here, there = (files_in(clone.folder / "build") for clone in (clone, first))
    shared = {path for path in here if path.startswith(("models/", "trt_cache/", "archives/"))}
    assert {f"archives/{name}.tar.zst" for name in ("models-core-masks", "cpu-cache-x86_64")} <= shared
    for path in shared:
        assert here[path] == there[path] == published[path], path
    tracked = (*LOCKS[1:], "params.yaml")
    assert not [file for file in tracked if hub.token in (clone.folder / file).read_text("utf-8")]

    repository, revision = data["hub"]["repo"], served.commit(None, "Say more", {"notes.txt": b"notes"})
    hub.requests.clear()
    clone.run("python", "-m", "stages.fetch", "--pin")
    assert revision in (clone.folder / "params.yaml").read_text("utf-8")
    assert clone.repro(*stages) == {"declare", *(f"fetch@{model}" for model in MODELS)}
    assert not [asked for asked in hub.requests if asked.path.startswith(("/lfs/", f"/{repository}/resolve/"))]
