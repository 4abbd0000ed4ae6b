"""A workspace is a folder where stages run, with the manifests' schemas and a small params.yaml.

The built one has three models of the kit (with and without emap, baked and streamed) for the CPU.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.caches import cache_files
from stages.compile import compile_model
from stages.index import index_engines
from stages.licences import licences_of
from stages.pack import model_files, pack_files
from stages.params import Params, load_params
from stages.prepare import prepare
from stages.workspace import Workspace
from tests.loopback.repository import Repository as Served
from tests.loopback.server import Hub
from tests.stages import DOWNLOADS, original, reduced, write_params
from tests.stages.publications import NAME, Project, new_workspace, write_manifests

MODELS = ("fan_68_5", "inswapper_128_fp16", "xseg_1")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with params.yaml alone."""
    workspace = new_workspace(tmp_path / "workspace")
    write_params(workspace.root, reduced(MODELS, ["cpu"]))
    return workspace


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Build the models, engines and cache of a workspace, once."""
    here = new_workspace(tmp_path_factory.mktemp("template") / "workspace")
    params = write_params(here.root, reduced(MODELS, ["cpu"]))
    build = params.build("cpu")
    for name, model in params.models.items():
        source, prepared = here.build / model.file, here.prepared / name
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(original(name))
        prepare(model, source, prepared)
        compile_model(build.target, prepared, here.engines / name / "cpu", here.timing)
    engines = {name: here.engines / name / "cpu" for name in params.models}
    index_engines(build.target.target, engines, here.caches / build.cache_key, licences=licences_of(params))
    return here


@pytest.fixture
def built(template: Workspace, workspace: Workspace) -> Params:
    """Build the workspace, as a copy of the template, and return its params."""
    shutil.copytree(template.root, workspace.root, dirs_exist_ok=True)
    return load_params(workspace.params)


@pytest.fixture(scope="session")
def published_template(template: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Pack and index the built workspace, once."""
    here = Workspace(tmp_path_factory.mktemp("published") / "workspace")
    shutil.copytree(template.root, here.root)
    params = load_params(here.params)
    build = params.build("cpu")
    pack_files(here, "models-core-masks", model_files(params), params.archive)
    pack_files(here, build.archive, cache_files(here, params, build.cache_key), params.archive)
    write_manifests(here, params)
    return here


@pytest.fixture
def whole(published_template: Workspace, workspace: Workspace) -> Params:
    """Build, pack and index the workspace, as a copy of the template, and return its params."""
    shutil.copytree(published_template.root, workspace.root, dirs_exist_ok=True)
    return load_params(workspace.params)


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Project]:
    """Return a function that makes a project of some models, with build/ filled."""

    def make(*models: str, turn: int = 0) -> Project:
        return Project.filled(tmp_path / "-".join([*models, str(turn)]), models, turn)

    return make


@pytest.fixture
def served(hub: Hub) -> Served:
    """A hub's repository with nothing published."""
    return hub.create(NAME)


@pytest.fixture
def reason(tmp_path: Path) -> Callable[..., str | None]:
    """Return what says why a file of a folder, by its data and name, looks like a secret."""
    from stages.publish.secrets import Secrets  # here, as few tests need it

    secrets = Secrets(tmp_path, DOWNLOADS / "secret_rules")

    def reason(data: bytes, name: str = "data.txt") -> str | None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
        return secrets.reason(name)

    return reason
