"""A publication is one commit that is complete, keeps what others published, and uploads nothing twice."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from morphstream.artifact.errors import FetchError, ManifestError
from morphstream.artifact.manifest import ArchivesManifest, EngineManifest, ModelsManifest
from stages.provenance.bom import BOM
from stages.provenance.statement import statement_path
from tests.loopback.repository import Large
from tests.loopback.repository import Repository as Served
from tests.loopback.server import Hub
from tests.stages import files_in
from tests.stages.publications import (
    CORE,
    FOLDER,
    KEY,
    MASKS,
    NAME,
    Project,
    check_complete,
    engines_of,
    send,
    texts,
    write_cache,
    write_manifests,
)


def test_everything_is_published_in_one_commit_with_the_card_s_layout(
    hub: Hub, served: Served, project: Callable[..., Project]
) -> None:
    mine = project(*CORE, *MASKS)
    before = files_in(mine.workspace.build)
    sent = send(hub, mine)
    assert served.commits()[0] == sent.commit
    assert len(served.commits()) == 2
    check_complete(served, sent.commit)
    files = served.files(sent.commit)
    published = {path: served.read(entry) for path, entry in files.items()}
    assert {path: published[path] for path in before} == before
    documents = {"NOTICE", "archives/bom.cdx.json"} | {statement_path(name) for name in mine.params.archive_names}
    assert set(files) - set(before) == {".gitattributes", "README.md", *documents}
    assert {path.split("/")[0] for path in files} == {
        *(".gitattributes", "NOTICE", "README.md", "archives", "manifests", "models", "trt_cache")
    }
    assert files_in(mine.workspace.build) == before


def test_publishing_again_uploads_nothing_and_makes_no_commit(
    hub: Hub, served: Served, project: Callable[..., Project]
) -> None:
    mine = project(*CORE)
    commit = send(hub, mine).commit
    hub.requests.clear()
    sent = send(hub, mine)
    assert sent.commit == commit == served.tip()
    assert sent.plan.is_empty
    assert {asked.method for asked in hub.requests} <= {"GET", "HEAD"}


def test_only_what_changed_is_uploaded(hub: Hub, served: Served, project: Callable[..., Project]) -> None:
    mine = project(*CORE)
    send(hub, mine)
    (mine.workspace.build / "models/fan_68_5.onnx").write_bytes(b"another" * 99)
    write_manifests(mine.workspace, mine.params)
    hub.requests.clear()
    sent = send(hub, mine, "models")
    assert sent.plan.added == ["README.md", BOM, "manifests/models.json", "models/fan_68_5.onnx"]
    assert len([asked for asked in hub.requests if asked.method == "PUT"]) == 1


def test_one_kind_alone_is_published(hub: Hub, served: Served, project: Callable[..., Project]) -> None:
    mine = project(*CORE)
    folders = {"models": "models", "engines": "trt_cache", "archives": "archives"}
    for what, folder in folders.items():
        added = send(hub, mine, what).plan.added
        assert {path.split("/")[0] for path in added} <= {folder, "manifests", "README.md", "NOTICE", "archives"}
        check_complete(served, served.tip())
    assert send(hub, mine).plan.is_empty


def test_other_groups_stay_and_old_engines_of_ours_go(
    hub: Hub, served: Served, project: Callable[..., Project]
) -> None:
    core = project(*CORE)
    send(hub, core)
    masks = project(*MASKS)
    assert send(hub, masks).plan.deleted == ()
    check_complete(served, served.tip())
    first = engines_of(served, served.tip(), KEY)
    assert sorted(map(str, first.values())) == sorted([*CORE, *MASKS])

    newer = project(*MASKS, turn=1)
    sent = send(hub, newer, "engines")
    gone = {f"{FOLDER}/{name}" for name, model in first.items() if model in MASKS}
    assert set(sent.plan.deleted) == gone
    check_complete(served, served.tip())
    after = engines_of(served, served.tip(), KEY)
    assert {name for name, model in after.items() if model in CORE} == {
        name for name, model in first.items() if model in CORE
    }


def test_archives_hold_what_others_published_too(hub: Hub, served: Served, project: Callable[..., Project]) -> None:
    core = project(*CORE)
    send(hub, core)
    mine = project(*MASKS)
    send(hub, mine)
    text = texts(served, served.tip())["manifests/archives.json"]
    archives = ArchivesManifest.from_json(text).archives
    manifest = texts(served, served.tip())[f"{FOLDER}/manifest.json"]
    named = EngineManifest.from_json(manifest).engine_files
    assert set(archives["cpu-cache-x86_64.tar.zst"].files) == {f"{FOLDER}/{name}" for name in (*named, "manifest.json")}
    models = ModelsManifest.from_json(texts(served, served.tip())["manifests/models.json"]).models
    assert set(archives["models-core-masks.tar.zst"].files) == {model.file for model in models.values()}
    check_complete(served, served.tip())
    assert not [path for path in mine.workspace.build.iterdir() if path.name.startswith(".publish")]

    both = project(*CORE, *MASKS)  # whoever has all of it makes the same archives
    assert not [path for path in send(hub, both).plan.added if path.endswith(".tar.zst")]


def test_chosen_groups_replace_their_own_engines_alone(
    hub: Hub, served: Served, project: Callable[..., Project]
) -> None:
    send(hub, project(*CORE, *MASKS))
    first = engines_of(served, served.tip(), KEY)
    newer = project(*CORE, *MASKS, turn=1)
    sent = send(hub, newer, "engines", groups=("masks",))
    after = engines_of(served, served.tip(), KEY)
    kept = {name for name, model in first.items() if model in CORE}
    assert kept == {name for name, model in after.items() if model in CORE}
    assert not {name for name, model in first.items() if model in MASKS} & set(after)
    assert len(sent.plan.deleted) == len(MASKS)
    check_complete(served, served.tip())


def test_archives_of_chosen_groups_hold_what_is_published_not_what_is_here(
    hub: Hub, served: Served, project: Callable[..., Project]
) -> None:
    send(hub, project(*CORE, *MASKS))
    send(hub, project(*CORE, *MASKS, turn=1), groups=("masks",))
    held = texts(served, served.tip())
    archives = ArchivesManifest.from_json(held["manifests/archives.json"]).archives
    models = ModelsManifest.from_json(held["manifests/models.json"]).models
    baked = {model.file: model.digest for model in models.values()}
    assert archives["models-core-masks.tar.zst"].files == baked
    engines = EngineManifest.from_json(held[f"{FOLDER}/manifest.json"]).engine_files
    packed = archives["cpu-cache-x86_64.tar.zst"].files
    assert {name: packed[f"{FOLDER}/{name}"] for name in engines} == {n: file.digest for n, file in engines.items()}
    check_complete(served, served.tip())


def test_chosen_models_caches_and_archives_are_published_alone(
    hub: Hub, served: Served, project: Callable[..., Project]
) -> None:
    mine = project(*CORE, *MASKS)
    assert "models/xseg_1.onnx" in send(hub, mine, "models", names=("xseg_1",)).plan.added
    published = ModelsManifest.from_json(texts(served, served.tip())["manifests/models.json"])
    assert set(published.models) == {"xseg_1"}
    added = send(hub, mine, "archives", names=("models-core-masks",)).plan.added
    assert [path for path in added if path.endswith(".tar.zst")] == ["archives/models-core-masks.tar.zst"]
    send(hub, mine, "engines", names=(KEY,))
    check_complete(served, served.tip())


def test_a_cache_that_params_do_not_name_is_published_by_its_key(
    hub: Hub, served: Served, project: Callable[..., Project]
) -> None:
    mine = project(*CORE)
    other = "sm89/trt10.14_ort1.24"
    write_cache(
        mine.workspace, mine.params, other, {"det_10g": b"an engine", "another": b"another"}, groups={"another": "core"}
    )
    send(hub, mine, "engines", names=(other,))
    assert set(engines_of(served, served.tip(), other).values()) == {"det_10g", "another"}
    check_complete(served, served.tip())


def test_a_plain_cache_of_the_workers_is_merged_and_its_stale_engines_go(
    hub: Hub, served: Served, project: Callable[..., Project]
) -> None:
    mine = project(*CORE)
    entry = {"group": "masks", "onnx_model": "xseg_1", "compiled_in_s": 61.5}
    plain = {
        "cache_key": KEY,
        "format_version": 2,
        "gpu_arch": "x86_64",
        "trt_version": None,
        "ort_version": None,
        "engine_files": {"x.engine": entry},
    }
    path = f"{FOLDER}/manifest.json"
    files: dict[str, bytes | Large] = {path: json.dumps(plain).encode(), f"{FOLDER}/x.engine": b"x"}
    stale = {f"{FOLDER}/stale.engine": b"old", f"{FOLDER}/NOTES.md": b"notes", "trt_cache/sm75/a/b.engine": b"b"}
    served.commit(None, "By a worker", {**files, **stale})
    sent = send(hub, mine, "engines")
    assert sent.plan.deleted == (f"{FOLDER}/stale.engine",)
    merged = json.loads(texts(served, served.tip())[path])
    assert merged["engine_files"]["x.engine"] == entry
    assert len(merged["engine_files"]) == 1 + len(CORE)
    assert {"trt_cache/sm75/a/b.engine", f"{FOLDER}/NOTES.md"} <= set(served.files(served.tip()))
    with pytest.raises(ManifestError, match="expected a digest, seen none"):
        send(hub, mine, "archives")


def test_a_dropped_model_goes_with_its_engines_and_its_file(
    hub: Hub, served: Served, project: Callable[..., Project]
) -> None:
    send(hub, project(*CORE, *MASKS))
    core = project(*CORE)
    sent = send(hub, core, dropped=("xseg_1",))
    assert "models/xseg_1.onnx" in sent.plan.deleted
    assert set(engines_of(served, served.tip(), KEY).values()) == {*CORE, "xseg_2"}
    check_complete(served, served.tip())
    archives = ArchivesManifest.from_json(texts(served, served.tip())["manifests/archives.json"]).archives
    assert not [path for archive in archives.values() for path in archive.files if "xseg_1" in path]


def test_a_dry_run_changes_nothing_and_lists_what_would_be_done(
    hub: Hub, served: Served, project: Callable[..., Project]
) -> None:
    send(hub, project(*CORE))
    tip = served.tip()
    hub.requests.clear()
    sent = send(hub, project(*CORE, turn=1), is_dry=True)
    assert served.tip() == tip == sent.commit
    assert {asked.method for asked in hub.requests} <= {"GET", "HEAD"}
    rows = sent.plan.table().splitlines()
    actions = {action: [row.split()[-1] for row in rows[:-1] if row.startswith(action)] for action in ("add", "delete")}
    assert sorted(actions["add"]) == sent.plan.added
    assert tuple(actions["delete"]) == sent.plan.deleted
    assert len(actions["delete"]) == len(CORE)
    assert rows[-1].startswith(f"add {len(sent.plan.added)} (")


def test_without_a_repository_a_dry_run_adds_all_and_a_real_one_creates_it_private(
    hub: Hub, project: Callable[..., Project]
) -> None:
    mine = project(*CORE)
    assert send(hub, mine, is_dry=True).commit == ""
    with pytest.raises(KeyError):
        hub.repository(NAME)
    send(hub, mine)
    assert hub.repository(NAME).is_private
    check_complete(hub.repository(NAME), hub.repository(NAME).tip())


def test_real_weights_are_not_published_where_all_can_see_them(hub: Hub, project: Callable[..., Project]) -> None:
    hub.create(NAME, is_private=False)
    mine = project(*CORE)
    with pytest.raises(FetchError, match=r"as det_10g may not be published \(InsightFace"):
        send(hub, replace(mine, params=replace(mine.params, origin="hub")))
    send(hub, mine)


def test_the_card_is_of_what_is_published_then(hub: Hub, served: Served, project: Callable[..., Project]) -> None:
    send(hub, project(*CORE))
    first = texts(served, served.tip())["README.md"].decode()
    assert "`det_10g`" in first
    assert "`xseg_1`" not in first
    send(hub, project(*MASKS))
    second = texts(served, served.tip())["README.md"].decode()
    for name in (*CORE, *MASKS):
        assert f"`{name}`" in second
    assert KEY in second
