"""What is published is whole, unaltered, of its format and what params.yaml asks for, or validate says what isn't."""

from collections.abc import Callable
from pathlib import Path

import pytest

from morphstream.artifact.archive import describe, pack
from morphstream.artifact.errors import DigestMismatchError, ManifestError
from stages.files import ARCHIVES, BUILD, CACHES, MANIFESTS
from stages.index import archives_manifest, index_engines
from stages.pack import cache_files, pack_files
from stages.params import Params, load_params
from stages.validate import check_schema, validate_cache
from tests.stages import files_in, read_json, reduced, refusal, run_stage, write_json, write_params
from tests.stages.publications import write_manifests

CACHE = CACHES / "x86_64/ov2026.4"
CPU = ARCHIVES / "cpu-cache-x86_64.tar.zst"
RECORD = BUILD / "validated.json"
GIT = Path("manifests")


def alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def alter_a_model() -> None:
    alter(BUILD / "models/xseg_1.onnx")


def alter_an_engine() -> None:
    alter(next(CACHE.glob("*_xseg_1.bin")))


def add_a_file() -> None:
    (CACHE / "left_over.engine").write_bytes(b"of an earlier run")


def remove_a_file() -> None:
    next(CACHE.glob("*_xseg_1.bin")).unlink()


def change_git() -> None:
    with (GIT / "models.json").open("a") as file:
        file.write("\n")


def remove_from_git() -> None:
    (GIT / "archives.json").unlink()


def cut_an_archive() -> None:
    CPU.write_bytes(CPU.read_bytes()[:-100])


def alter_an_archive() -> None:
    alter(CPU)


def remove_an_archive() -> None:
    CPU.unlink()


def pack_a_file_less() -> None:
    """Pack all but an engine and name the rest in every manifest, as a stage that ran too early would."""
    params = load_params()
    files = cache_files(params.build("cpu"), list(params.models))
    pack_files("cpu-cache-x86_64", [name for name in files if not name.endswith("_xseg_1.bin")], params.archive)
    write_manifests(params)


def pack_a_file_more() -> None:
    params = load_params()
    files = cache_files(params.build("cpu"), list(params.models))
    pack_files("cpu-cache-x86_64", [*files, "models/xseg_1.onnx"], params.archive)
    write_manifests(params)


def pack_other_bytes() -> None:
    """Pack an engine of other bytes under the right name, and write the manifests of that."""
    params = load_params()
    sources = {name: BUILD / name for name in cache_files(params.build("cpu"), list(params.models))}
    name = next(name for name in sources if name.endswith("_xseg_1.bin"))
    sources[name] = BUILD / "models/xseg_1.onnx"
    pack(sources, CPU, level=3, threads=1)
    write_manifests(params)


def index_a_model_less() -> None:
    params = load_params()
    index_engines(params.build("cpu"), list(params.models)[:-1], BUILD / "engines/cpu", CACHE)


def break_the_format() -> None:
    for folder in (MANIFESTS, GIT):
        data = read_json(folder / "models.json")
        data["models"]["xseg_1"]["role"] = "net"
        write_json(folder / "models.json", data)


def add_a_model_to_params() -> None:
    write_params(Path.cwd(), reduced([*load_params().models, "gfpgan"], ["cpu"]))


def add_a_target_to_params() -> None:
    write_params(Path.cwd(), reduced(load_params().models, ["cpu", "rtx-sm89"]))


def test_what_the_stages_made_is_valid_and_counted(whole: Params) -> None:
    before = files_in(BUILD)
    done = run_stage(Path.cwd(), "validate")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert read_json(RECORD) == {"models": 3, "engine_files": {"cpu": 7}, "archives": 2}
    RECORD.unlink()
    assert files_in(BUILD) == before


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        pytest.param(alter_a_model, "xseg_1.onnx: expected sha256", id="an altered model"),
        pytest.param(alter_an_engine, "_xseg_1.bin: expected sha256", id="an altered engine"),
        pytest.param(add_a_file, "extra ['left_over.engine']", id="an extra file in a cache"),
        pytest.param(remove_a_file, "_xseg_1.bin", id="a missing file in a cache"),
        pytest.param(change_git, "manifests/models.json: expected the bytes of build/", id="another manifest in Git"),
        pytest.param(remove_from_git, "manifests/archives.json", id="no manifest in Git"),
        pytest.param(cut_an_archive, "cpu-cache-x86_64.tar.zst", id="a cut archive"),
        pytest.param(alter_an_archive, "cpu-cache-x86_64.tar.zst", id="an altered archive"),
        pytest.param(remove_an_archive, "cpu-cache-x86_64.tar.zst", id="a missing archive"),
        pytest.param(
            pack_a_file_less, "cpu-cache-x86_64.tar.zst: expected what params.yaml", id="an archive less a file"
        ),
        pytest.param(pack_a_file_more, "extra ['models/xseg_1.onnx']", id="an archive with a file more"),
        pytest.param(pack_other_bytes, "_xseg_1.bin: expected ", id="an archive of other bytes"),
        pytest.param(index_a_model_less, "seen a difference in xseg_1", id="a cache less a model"),
        pytest.param(break_the_format, "in 'models.xseg_1.role'", id="a manifest that breaks its format"),
        pytest.param(add_a_model_to_params, "lacking ['gfpgan']", id="a model more in params"),
        pytest.param(add_a_target_to_params, "sm89", id="a target more in params"),
    ],
)
def test_a_fault_is_refused_by_name_and_nothing_recorded(
    whole: Params, fault: Callable[[], None], message: str
) -> None:
    fault()
    assert message in refusal(Path.cwd(), "validate")
    assert not RECORD.exists()


def test_a_cache_alone_is_refused_for_an_altered_engine(whole: Params) -> None:
    assert validate_cache(whole, "cpu") == 7
    alter_an_engine()
    with pytest.raises(DigestMismatchError, match=r"_xseg_1\.bin: expected sha256 "):
        validate_cache(whole, "cpu")


def test_unpacking_cold_leaves_nothing_behind(whole: Params) -> None:
    before = set(BUILD.iterdir())
    alter_an_archive()
    refusal(Path.cwd(), "validate")
    assert set(BUILD.iterdir()) == before


def test_a_model_less_in_params_is_refused_until_it_is_rebuilt(whole: Params) -> None:
    write_params(Path.cwd(), reduced(list(whole.models)[:-1], ["cpu"]))
    assert "xseg_1" in refusal(Path.cwd(), "validate")
    assert not RECORD.exists()


def test_the_schema_names_the_path_of_a_fault(whole: Params) -> None:
    text = (CACHE / "manifest.json").read_text("utf-8")
    check_schema(text, "engine-manifest")
    with pytest.raises(ManifestError, match="in 'format_version'"):
        check_schema(text.replace('"format_version": 2', '"format_version": 3'), "engine-manifest")


def test_archives_are_those_that_were_described(whole: Params) -> None:
    manifest = archives_manifest(whole)
    assert {name: entry.tar_digest for name, entry in manifest.archives.items()} == {
        path.name: describe(path).tar for path in ARCHIVES.iterdir()
    }
