"""A workspace is a folder where stages run: the project's source and schemas, and a small params.yaml.

The built one has three models of the kit (with and without emap, baked and streamed) for the CPU.
"""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.compile import compile_model
from stages.files import BUILD, ENGINES, PREPARED
from stages.index import index_engines
from stages.pack import MODELS_ARCHIVE, cache_files, model_files, pack_files
from stages.params import Params, load_params
from stages.prepare import prepare
from tests.loopback.repository import Repository as Served
from tests.loopback.server import Hub
from tests.stages import ROOT, original, reduced, write_params
from tests.stages.publications import NAME, fill, new_project, write_manifests

MODELS = ("fan_68_5", "inswapper_128_fp16", "xseg_1")


def new_workspace(folder: Path) -> Path:
    """Make a folder in which stage programs run."""
    (folder / "manifests").mkdir(parents=True)
    for name in ("stages", ".cache", "manifests/schema"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enter a workspace with params.yaml alone."""
    folder = new_workspace(tmp_path / "workspace")
    write_params(folder, reduced(MODELS, ["cpu"]))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the models, engines and cache of a workspace, once."""
    folder = new_workspace(tmp_path_factory.mktemp("template") / "workspace")
    params = write_params(folder, reduced(MODELS, ["cpu"]))
    with contextlib.chdir(folder):
        build = params.build("cpu")
        for name, model in params.models.items():
            source = BUILD / model.file
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_bytes(original(name))
            prepare(model, source, PREPARED / name)
            compile_model(build.target, PREPARED / name, ENGINES / "cpu" / name)
        index_engines(build, list(params.models), ENGINES / "cpu", BUILD / "trt_cache" / build.cache_key)
    return folder


@pytest.fixture
def built(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Enter a copy of the built workspace and return its params."""
    folder = tmp_path / "built"
    shutil.copytree(template, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return load_params()


@pytest.fixture(scope="session")
def published_template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pack and index the built workspace, once."""
    folder = tmp_path_factory.mktemp("published") / "workspace"
    shutil.copytree(template, folder, symlinks=True)
    with contextlib.chdir(folder):
        params = load_params()
        build = params.build("cpu")
        pack_files(MODELS_ARCHIVE, model_files(params), params.archive)
        pack_files(build.archive, cache_files(build, list(params.models)), params.archive)
        write_manifests(params)
    return folder


@pytest.fixture
def whole(published_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Enter a copy of the packed and indexed workspace."""
    shutil.copytree(published_template, tmp_path / "whole", symlinks=True)
    monkeypatch.chdir(tmp_path / "whole")
    return load_params()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Params]:
    """Return a function that enters a project of some models, with build/ filled."""

    def enter(*models: str, turn: int = 0) -> Params:
        folder = tmp_path / "-".join([*models, str(turn)])
        params = new_project(folder, models)
        monkeypatch.chdir(folder)
        fill(params, turn)
        return params

    return enter


@pytest.fixture
def served(hub: Hub) -> Served:
    """A hub's repository with nothing published."""
    return hub.create(NAME)
