"""What is published is whole, unaltered, of its format and what params.yaml asks for, or validate says what isn't."""

from collections.abc import Callable
from pathlib import Path

import pytest

from morphstream.artifact.archive import describe, pack
from morphstream.artifact.errors import DigestMismatchError, ManifestError
from stages.caches import cache_files
from stages.index import archives_manifest, index_engines
from stages.licences import licences_of
from stages.pack import pack_files
from stages.params import Params, load_params
from stages.validate import check_schema, validate_cache
from stages.workspace import Workspace
from tests.stages import files_in, read_json, reduced, refusal, run_stage, write_json, write_params
from tests.stages.publications import write_manifests

KEY = "x86_64/ov2026.4"
CPU, RECORD = "cpu-cache-x86_64.tar.zst", "validated.json"


def alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def alter_a_model(workspace: Workspace) -> None:
    alter(workspace.build / "models/xseg_1.onnx")


def alter_an_engine(workspace: Workspace) -> None:
    alter(next((workspace.caches / KEY).glob("*_xseg_1.bin")))


def add_a_file(workspace: Workspace) -> None:
    (workspace.caches / KEY / "left_over.engine").write_bytes(b"of an earlier run")


def remove_a_file(workspace: Workspace) -> None:
    next((workspace.caches / KEY).glob("*_xseg_1.bin")).unlink()


def fill_a_manifest(workspace: Workspace) -> None:
    (workspace.manifests / "models.json").write_text("[" + "0," * (2 << 20) + "0]")


def nest_a_manifest(workspace: Workspace) -> None:
    (workspace.manifests / "archives.json").write_text("[" * 100_000)


def change_git(workspace: Workspace) -> None:
    with (workspace.tracked / "models.json").open("a") as file:
        file.write("\n")


def remove_from_git(workspace: Workspace) -> None:
    (workspace.tracked / "archives.json").unlink()


def cut_an_archive(workspace: Workspace) -> None:
    (workspace.archives / CPU).write_bytes((workspace.archives / CPU).read_bytes()[:-100])


def alter_an_archive(workspace: Workspace) -> None:
    alter(workspace.archives / CPU)


def remove_an_archive(workspace: Workspace) -> None:
    (workspace.archives / CPU).unlink()


def pack_a_file_less(workspace: Workspace) -> None:
    """Pack all but an engine and name the rest in every manifest, as a stage that ran too early would."""
    params = load_params(workspace.params)
    files = cache_files(workspace, params, KEY)
    pack_files(
        workspace, "cpu-cache-x86_64", [name for name in files if not name.endswith("_xseg_1.bin")], params.archive
    )
    write_manifests(workspace, params)


def pack_a_file_more(workspace: Workspace) -> None:
    params = load_params(workspace.params)
    files = cache_files(workspace, params, KEY)
    pack_files(workspace, "cpu-cache-x86_64", [*files, "models/xseg_1.onnx"], params.archive)
    write_manifests(workspace, params)


def pack_other_bytes(workspace: Workspace) -> None:
    """Pack an engine of other bytes under the right name, and write the manifests of that."""
    params = load_params(workspace.params)
    sources = {name: workspace.build / name for name in cache_files(workspace, params, KEY)}
    name = next(name for name in sources if name.endswith("_xseg_1.bin"))
    sources[name] = workspace.build / "models/xseg_1.onnx"
    pack(sources, workspace.archives / CPU, level=3, threads=1)
    write_manifests(workspace, params)


def index_a_model_less(workspace: Workspace) -> None:
    params = load_params(workspace.params)
    engines = {name: workspace.engines / name / "cpu" for name in list(params.models)[:-1]}
    index_engines(params.target("cpu").target, engines, workspace.caches / KEY, licences=licences_of(params))


def break_the_format(workspace: Workspace) -> None:
    for folder in (workspace.manifests, workspace.tracked):
        data = read_json(folder / "models.json")
        data["models"]["xseg_1"]["role"] = "net"
        write_json(folder / "models.json", data)


def break_the_format_of_a_cache(workspace: Workspace) -> None:
    path = workspace.caches / KEY / "manifest.json"
    write_json(path, {**read_json(path), "engine_files": []})


def add_a_model_to_params(workspace: Workspace) -> None:
    write_params(workspace.root, reduced([*load_params(workspace.params).models, "gfpgan"], ["cpu"]))


def lose_emap(workspace: Workspace) -> None:
    """Take the file, and its entry in the manifest."""
    (path,) = workspace.caches.glob("*/*/*.npy")
    document = read_json(path.with_name("manifest.json"))
    del document["engine_files"][path.name]
    path.unlink()
    write_json(path.with_name("manifest.json"), document)


def add_a_target_to_params(workspace: Workspace) -> None:
    write_params(workspace.root, reduced(load_params(workspace.params).models, ["cpu", "rtx-sm89"]))


def test_what_the_stages_made_is_valid_and_counted(workspace: Workspace, whole: Params) -> None:
    before = files_in(workspace.build)
    done = run_stage(workspace, "validate")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert read_json(workspace.build / RECORD) == {"models": 3, "engine_files": {"cpu": 7}, "archives": 2}
    (workspace.build / RECORD).unlink()
    assert files_in(workspace.build) == before


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        pytest.param(alter_a_model, "xseg_1.onnx: expected sha256", id="an altered model"),
        pytest.param(alter_an_engine, "_xseg_1.bin: expected sha256", id="an altered engine"),
        pytest.param(add_a_file, "['left_over.engine'] extra", id="an extra file in a cache"),
        pytest.param(remove_a_file, "_xseg_1.bin", id="a missing file in a cache"),
        pytest.param(change_git, "manifests/models.json: expected the bytes of ", id="another manifest in Git"),
        pytest.param(remove_from_git, "manifests/archives.json", id="no manifest in Git"),
        pytest.param(cut_an_archive, "cpu-cache-x86_64.tar.zst", id="a cut archive"),
        pytest.param(alter_an_archive, "cpu-cache-x86_64.tar.zst", id="an altered archive"),
        pytest.param(remove_an_archive, "cpu-cache-x86_64.tar.zst", id="a missing archive"),
        pytest.param(
            pack_a_file_less, "cpu-cache-x86_64.tar.zst: expected what params.yaml", id="an archive less a file"
        ),
        pytest.param(pack_a_file_more, "['models/xseg_1.onnx'] extra", id="an archive with a file more"),
        pytest.param(pack_other_bytes, "_xseg_1.bin: expected ", id="an archive of other bytes"),
        pytest.param(index_a_model_less, "seen a difference in xseg_1; run `dvc repro`", id="a cache less a model"),
        pytest.param(break_the_format, "in 'models.xseg_1.role'", id="a manifest that breaks its format"),
        pytest.param(
            break_the_format_of_a_cache,
            "manifest.json: expected an object, seen an array in 'engine_files'; run `dvc repro`",
            id="a cache's manifest that breaks its format",
        ),
        pytest.param(fill_a_manifest, "models.json: expected at most 4 MiB, seen 4.0 MiB", id="a huge manifest"),
        pytest.param(nest_a_manifest, "archives.json: expected JSON, seen a fault", id="a manifest too deep"),
        pytest.param(lose_emap, "expected a file of kind emap beside it, seen none of inswapper", id="a lost emap"),
        pytest.param(add_a_model_to_params, "seen ['gfpgan'] missing", id="a model more in params"),
        pytest.param(add_a_target_to_params, "sm89", id="a target more in params"),
    ],
)
def test_a_fault_is_refused_by_name_and_nothing_recorded(
    workspace: Workspace, whole: Params, fault: Callable[[Workspace], None], message: str
) -> None:
    fault(workspace)
    assert message in refusal(workspace, "validate")
    assert not (workspace.build / RECORD).exists()


def test_a_cache_alone_is_refused_for_an_altered_engine(workspace: Workspace, whole: Params) -> None:
    assert len(validate_cache(workspace, whole, KEY).engine_files) == 7
    alter_an_engine(workspace)
    with pytest.raises(DigestMismatchError, match=r"_xseg_1\.bin: expected sha256 "):
        validate_cache(workspace, whole, KEY)


def test_unpacking_cold_leaves_nothing_behind(workspace: Workspace, whole: Params) -> None:
    before = set(workspace.build.iterdir())
    alter_an_archive(workspace)
    refusal(workspace, "validate")
    assert set(workspace.build.iterdir()) == before


def test_a_model_less_in_params_is_refused_until_it_is_rebuilt(workspace: Workspace, whole: Params) -> None:
    write_params(workspace.root, reduced(list(whole.models)[:-1], ["cpu"]))
    assert "xseg_1" in refusal(workspace, "validate")
    assert not (workspace.build / RECORD).exists()


def test_the_schema_names_the_path_of_a_fault(workspace: Workspace, whole: Params) -> None:
    text = (workspace.caches / KEY / "manifest.json").read_text("utf-8")
    schema = workspace.schemas / "engine-manifest.schema.json"
    check_schema(text, schema)
    with pytest.raises(ManifestError, match="in 'format_version'"):
        check_schema(text.replace('"format_version": 2', '"format_version": 3'), schema)


def test_archives_are_those_that_were_described(workspace: Workspace, whole: Params) -> None:
    manifest = archives_manifest(workspace, whole)
    assert {name: entry.tar_digest for name, entry in manifest.archives.items()} == {
        path.name: describe(path).tar for path in workspace.archives.iterdir()
    }
