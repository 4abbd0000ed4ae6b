"""Engines built where none is published have the pipeline's bytes and appear whole; the checkout stays as it was."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from morphstream.artifact.digest import digest_of
from morphstream.artifact.manifest import EngineManifest
from morphstream.source.folder import FolderSource
from stages.workspace import Workspace
from tests.loopback.repository import Large
from tests.loopback.repository import Repository as Served
from tests.loopback.server import Hub
from tests.stages import ROOT, files_in, needs_rtx, original, reduced, run_stage, write_params
from tests.stages.publications import KEY, NAME, check_complete, engines_of, new_workspace

CORE, PERSON = "fan_68_5", "yolov8n"  # each alone in its group
RTX, BF16 = "sm89/rtx1.7_ort1.31", "x86_64/ov2026.4_bf16"
CACHES = {"cpu": KEY, "rtx-sm89": RTX}

Files = Mapping[str, bytes]


def copied(folder: Path, data: Mapping[str, Any]) -> Path:
    """Make a checkout as an image has it: read-only, params.yaml and stages/ alone, no Git and no DVC."""
    folder.mkdir()
    write_params(folder, data)
    shutil.copytree(ROOT / "stages", folder / "stages")  # compiled, too: programs don't write that there
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of two models and the CPU's target."""
    return copied(tmp_path_factory.mktemp("image") / "checkout", reduced([CORE, PERSON], ["cpu"]))


@pytest.fixture(scope="module")
def piped(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The workspace of a pipeline, to run its stages in as dvc.yaml does."""
    workspace = new_workspace(tmp_path_factory.mktemp("pipeline") / "workspace")
    write_params(workspace.root, reduced([CORE, PERSON], list(CACHES)))
    for verb in ("fetch", "prepare"):
        for model in (CORE, PERSON):
            assert run_stage(workspace, verb, model).returncode == 0
    return workspace


def by_the_pipeline(piped: Workspace, target: str) -> Files:
    """Return the files of a target's cache as the pipeline builds it."""
    cache = piped.caches / CACHES[target]
    if not cache.exists():
        for arguments in (("compile", target, CORE), ("compile", target, PERSON), ("index", target)):
            assert run_stage(piped, *arguments).returncode == 0
    return files_in(cache)


def state(checkout: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_mode) for path in (checkout, *checkout.rglob("*"))}


def start(checkout: Path, *arguments: str | Path, hub: Hub | None = None, token: str = "") -> subprocess.Popen[str]:
    settings = {**os.environ, **(hub.environment(checkout.parent / "home") if hub else {}), "HF_TOKEN": token}
    return subprocess.Popen(
        [sys.executable, "-B", "-m", "stages.build", *map(str, arguments)],
        cwd=checkout,
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(program: subprocess.Popen[str], code: int = 0) -> list[str]:
    """Wait for a build, check how it ends and return its lines on stderr."""
    output, errors = program.communicate()
    assert (program.returncode, output) == (code, ""), errors
    return errors.splitlines()


def run(checkout: Path, *arguments: str | Path, code: int = 0, hub: Hub | None = None, token: str = "") -> list[str]:
    """Run a build, which leaves the checkout as it was."""
    before = state(checkout)
    lines = ended(start(checkout, *arguments, hub=hub, token=token), code)
    assert state(checkout) == before
    assert token == "" or token not in "".join(lines)
    return lines


@pytest.mark.parametrize("target", ["cpu", pytest.param("rtx-sm89", marks=needs_rtx)])
def test_a_read_only_checkout_without_git_builds_what_the_pipeline_does(
    checkout: Path, piped: Workspace, tmp_path: Path, target: str
) -> None:
    lines = run(checkout, target, "--into", tmp_path / "new/folder")
    cache = f"trt_cache/{CACHES[target]}"
    built = {f"{cache}/{name}": data for name, data in by_the_pipeline(piped, target).items()}
    assert files_in(tmp_path / "new/folder") == built
    assert FolderSource(tmp_path / "new/folder").read(f"{cache}/manifest.json") == built[f"{cache}/manifest.json"]
    assert [line.split()[0] for line in sorted(lines)] == [CORE, "models:", PERSON]
    assert [line.partition("(")[2] for line in lines[1:]] == ["1 of 2)", "2 of 2)"]


def test_a_group_is_built_alone_for_a_cache_key(checkout: Path, piped: Workspace, tmp_path: Path) -> None:
    lines = run(checkout, KEY, "--into", tmp_path / "engines", "--group", PERSON)
    assert len(lines) == 2
    cache, whole = files_in(tmp_path / "engines/trt_cache" / KEY), by_the_pipeline(piped, "cpu")
    manifest = EngineManifest.from_json(cache.pop("manifest.json"))
    assert set(manifest.engine_files) == set(cache) == {name for name in whole if PERSON in name}
    assert cache == {name: whole[name] for name in cache}
    assert manifest.engine_files.items() < EngineManifest.from_json(whole["manifest.json"]).engine_files.items()


def test_a_target_that_the_pipeline_does_not_build_is_built(checkout: Path, tmp_path: Path) -> None:
    run(checkout, "cpu-bf16", "--into", tmp_path / "engines", "--group", PERSON)
    manifest = EngineManifest.from_json((tmp_path / "engines/trt_cache" / BF16 / "manifest.json").read_bytes())
    assert {(file.group, file.precision) for file in manifest.engine_files.values()} == {(PERSON, "bf16")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tpu",), "target: expected one of params.yaml: cpu (x86_64/ov2026.4), "),
        (("sm61/rtx1.7_ort1.31",), "seen 'sm61/rtx1.7_ort1.31'; name one of these"),
        (("cpu", "--group", "masks"), "--group: expected one of core, yolov8n, as in params.yaml, seen 'masks'; name"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_params_do_not_name_is_refused(
    checkout: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (line,) = run(checkout, *arguments, "--into", tmp_path / "engines", code=1)
    assert line.startswith(f"build {arguments[0]} ")
    assert message in line
    assert not (tmp_path / "engines").exists()


def test_another_toolchain_than_declared_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    data = reduced([CORE], ["cpu"])
    data["targets"]["cpu"]["toolchain"]["openvino"] += "9"
    (line,) = run(copied(tmp_path / "other", data), "cpu", "--into", tmp_path / "engines", code=1)
    assert "targets.cpu.toolchain: declared openvino 2026.4.19, this machine has 2026.4.1; install" in line
    assert not (tmp_path / "engines").exists()


def test_a_folder_that_holds_something_is_refused_and_left(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (line,) = run(checkout, "cpu", "--into", tmp_path, code=1)
    assert f"{tmp_path}: expected a new or an empty folder, seen mine there; name another" in line
    assert files_in(tmp_path) == {"mine": b"mine"}


def test_a_refused_model_is_refused_in_its_own_words_and_nothing_remains(tmp_path: Path) -> None:
    data = reduced([CORE, PERSON], ["cpu"])
    data["models"][PERSON]["inputs"] = {"images": [1, 3, 320, 320]}
    lines = run(copied(tmp_path / "other", data), "cpu", "--into", tmp_path / "engines", code=1)
    assert f"build cpu --into {tmp_path / 'engines'}: build cpu --into " in lines[-1]
    assert f" --model {PERSON}: " in lines[-1]
    assert "expected" in lines[-1]
    assert files_in(tmp_path / "engines") == {}


@pytest.mark.parametrize("arguments", [("cpu",), ("cpu", "--into", "x", "--contribute", "no-owner")], ids=" ".join)
def test_wrong_usage_exits_2(checkout: Path, arguments: tuple[str, ...]) -> None:
    lines = run(checkout, *arguments, code=2)
    assert any(line.startswith("usage: python -m stages.build") for line in lines)


def begin(checkout: Path, into: Path) -> subprocess.Popen[str]:
    """Start a build and return while it compiles."""
    program = start(checkout, "cpu", "--into", into)
    assert program.stderr is not None
    assert program.stderr.readline().startswith("models: 2 fetched in ")
    return program


def test_a_build_that_is_killed_shows_nothing_and_the_next_has_the_same_bytes(
    checkout: Path, piped: Workspace, tmp_path: Path
) -> None:
    program = begin(checkout, tmp_path / "first")
    program.kill()
    ended(program, -signal.SIGKILL)
    assert [path.name[:7] for path in (tmp_path / "first").iterdir()] == [".build."]
    run(checkout, "cpu", "--into", tmp_path / "first")
    assert files_in(tmp_path / "first/trt_cache" / KEY) == by_the_pipeline(piped, "cpu")
    assert [path.name for path in (tmp_path / "first").iterdir()] == ["trt_cache"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_an_interrupted_build_ends_its_programs_and_nothing_remains(
    checkout: Path, tmp_path: Path, number: signal.Signals
) -> None:
    program = begin(checkout, tmp_path / "engines")
    program.send_signal(number)
    said = ended(program, 128 + number)
    assert said[-1].endswith(("interrupted", "terminated"))
    assert "Traceback" not in "".join(said)
    with pytest.raises(ProcessLookupError):
        os.killpg(program.pid, 0)
    assert list((tmp_path / "engines").iterdir()) == []


def test_models_come_from_the_hub_but_for_those_that_are_here_as_pinned(
    hub: Hub, piped: Workspace, tmp_path: Path
) -> None:
    served, data = hub.create(NAME), reduced([CORE, PERSON], ["cpu"]) | {"origin": "hub"}
    files = dict[str, bytes | Large]()
    for name, model in data["models"].items():
        digest = digest_of(original(name))
        served.object_path(digest.sha256).parent.mkdir(parents=True)
        served.object_path(digest.sha256).write_bytes(original(name))
        files[model["file"]] = Large(digest.sha256, digest.bytes)
        model |= {"sha256": digest.sha256, "bytes": digest.bytes}
    data["hub"]["revision"] = served.commit(None, "Publish", files)
    checkout = copied(tmp_path / "checkout", data)
    checkout.chmod(0o755)
    for name, held in ((CORE, original(CORE)), (PERSON, b"other bytes")):
        path = Workspace(checkout).build / data["models"][name]["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(held)
    run(checkout, "cpu", "--into", tmp_path / "engines", hub=hub, token=hub.token)
    assert files_in(tmp_path / "engines/trt_cache" / KEY) == by_the_pipeline(piped, "cpu")
    (asked,) = (asked.path for asked in hub.requests if asked.path.startswith("/lfs/"))
    assert asked.endswith(digest_of(original(PERSON)).sha256)


def models_of(served: Served) -> set[str | None]:
    check_complete(served, served.tip())
    return set(engines_of(served, served.tip(), KEY).values())


def test_contributors_of_different_groups_at_once_both_end_up_in_the_manifest(
    hub: Hub, served: Served, checkout: Path, piped: Workspace, tmp_path: Path
) -> None:
    programs = []
    for group in ("core", PERSON):
        arguments = ("cpu", "--into", tmp_path / group, "--group", group, "--contribute", NAME)
        programs.append(start(checkout, *arguments, hub=hub, token=hub.token))
    for program in programs:
        assert ended(program)[-1].startswith(f"{NAME}@")
    assert models_of(served) == {CORE, PERSON}
    files = served.files(served.tip())
    assert {
        path.rpartition("/")[2]: served.read(file) for path, file in files.items() if path.startswith("trt_cache/")
    } == by_the_pipeline(piped, "cpu")
    assert {path.split("/")[0] for path in files} == {".gitattributes", "README.md", "trt_cache"}


@pytest.mark.parametrize("who", ["nobody", "a reader"])
def test_engines_that_the_repository_does_not_take_are_built_and_exit_3(
    hub: Hub, served: Served, checkout: Path, tmp_path: Path, who: str
) -> None:
    tip, token = served.tip(), hub.read_token if who == "a reader" else ""
    arguments = ("cpu", "--into", tmp_path / "engines", "--group", PERSON, "--contribute", NAME)
    lines = run(checkout, *arguments, code=3, hub=hub, token=token)
    assert len(lines) == 3
    assert lines[-1].startswith(f"contribute {KEY}: {NAME}")
    assert f"seen {403 if token else 401}" in lines[-1]
    assert (tmp_path / "engines/trt_cache" / KEY / "manifest.json").exists()
    assert [path.name for path in (tmp_path / "engines").iterdir()] == ["trt_cache"]
    assert served.tip() == tip
