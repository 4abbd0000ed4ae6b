"""The commands that publish: what they print, how they end, and that no token is in any of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.manifest import ArchivesManifest
from stages.params import Params, load_params
from stages.publish.__main__ import main
from stages.workspace import Workspace
from tests.loopback.faults import Fault
from tests.loopback.repository import Repository as Served
from tests.loopback.server import Hub
from tests.stages import DOWNLOADS, ROOT, files_in, read_json, write_json
from tests.stages.publications import KEY, NAME, check_complete, texts, write_cache
from tests.stages.test_validate import alter


@pytest.fixture
def served(workspace: Workspace, hub: Hub, whole: Params) -> Served:
    """A whole workspace, and a hub with an empty repository."""
    shutil.copytree(ROOT / "scripts", workspace.root / "scripts")
    return hub.create(NAME)


def run(workspace: Workspace, hub: Hub, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {**os.environ, **hub.environment(workspace.root / "home"), "PATH": path, **environment}
    settings["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(command, cwd=workspace.root, env=settings, capture_output=True, text=True, check=False)
    assert hub.token not in done.stdout + done.stderr
    return done


def publish(workspace: Workspace, hub: Hub, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(workspace, hub, sys.executable, "-m", "stages.publish", *arguments, **environment)


def published(workspace: Workspace, hub: Hub, *arguments: str, **environment: str) -> str:
    """Publish, successfully and with nothing on stderr, and return what is printed."""
    done = publish(workspace, hub, *arguments, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def archives(served: Served) -> dict[str, object]:
    text = texts(served, served.tip())["manifests/archives.json"]
    return dict(ArchivesManifest.from_json(text).archives)


def test_all_is_published_and_the_second_time_it_is_all_there(workspace: Workspace, hub: Hub, served: Served) -> None:
    first = published(workspace, hub)
    assert first.startswith(f"{NAME}@{served.tip()}: add ")
    check_complete(served, served.tip())
    second = published(workspace, hub, "all")
    assert second.startswith(f"{NAME}@{served.tip()} holds it all: add 0 (0 bytes), keep ")


def test_a_dry_run_prints_a_table_and_a_plan_that_is_published_as_it_was_shown(
    workspace: Workspace, hub: Hub, served: Served
) -> None:
    tip = served.tip()
    lines = published(workspace, hub, "engines", "--dry-run").splitlines()
    assert served.tip() == tip
    actions = {line.split()[0] for line in lines[:-2]}
    assert actions == {"add"}
    sizes = {line.split()[2]: int(line.split()[1].replace(",", "")) for line in lines[:-2]}
    folder = workspace.caches / KEY
    for name, data in files_in(folder).items():
        assert sizes[f"trt_cache/{KEY}/{name}"] == len(data)
    assert lines[-2] == f"add {len(sizes)} ({sum(sizes.values()):,} bytes), keep 0 (0 bytes), delete 0 (0 bytes)"
    said, _, plan = lines[-1].partition("; to publish this and nothing else: --plan ")
    assert said == f"dry run: nothing was changed at {NAME}@{tip}"
    refused = publish(workspace, hub, "engines", "--plan", "0" * 16)
    expected = f"plan: expected {'0' * 16}, as was shown, seen {plan}: the tip or build/ changed since"
    assert (refused.returncode, expected in refused.stderr, served.tip()) == (1, True, tip)
    assert published(workspace, hub, "engines", "--plan", plan).startswith(f"{NAME}@{served.tip()}: add {len(sizes)} ")


def test_a_token_that_may_not_write_is_refused_in_one_line(workspace: Workspace, hub: Hub, served: Served) -> None:
    tip = served.tip()
    done = publish(workspace, hub, "models", HF_TOKEN=hub.read_token)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert line.startswith(f"publish models: {NAME}: expected a token with that right, seen 403 (")
    assert served.tip() == tip
    assert publish(workspace, hub, "models", "--dry-run", HF_TOKEN=hub.read_token).returncode == 0


def test_no_token_is_refused_in_one_line(workspace: Workspace, hub: Hub, served: Served) -> None:
    (line,) = publish(workspace, hub, HF_TOKEN="").stderr.splitlines()
    assert "expected a repository that anybody may see, seen 401" in line
    assert "HF_TOKEN or `hf auth login`" in line


def test_an_echoed_token_is_in_no_line_and_no_file(workspace: Workspace, hub: Hub, served: Served) -> None:
    hub.faults.add(Fault(kind="status", status=400, path="/commit/", is_echo=True))
    (line,) = publish(workspace, hub).stderr.splitlines()
    assert "seen 400" in line
    assert "***" in line
    published(workspace, hub)
    for name, data in files_in(workspace.root).items():
        assert hub.token.encode() not in data, name


def test_what_is_not_valid_is_refused_before_the_hub_is_asked(workspace: Workspace, hub: Hub, served: Served) -> None:
    alter(next((workspace.caches / KEY).glob("*_xseg_1.bin")))
    (line,) = publish(workspace, hub).stderr.splitlines()
    assert "_xseg_1.bin: expected sha256 " in line
    assert hub.requests == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("everything",),
        ("deploy",),
        ("deploy", "--code", ".", "--back-to", "main"),
        ("archives", "--history"),
        ("models", "--code", "."),
        ("all", "xseg_1"),
        ("archives", "--group", "masks"),
        ("engines", "--group", "none"),
        ("all", "--drop", "xseg_1"),
        ("deploy", "--code", ".", "--tag", "staging"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2(
    workspace: Workspace, whole: Params, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sys, "argv", ["publish", *arguments])
    with pytest.raises(SystemExit) as ended:
        main(workspace)
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("models", "none"), "models: expected one of "),
        (("engines", "sm89/none"), "name one such as x86_64/ov2026.4"),
        (("engines", "sm89/rtx1.7_ort1.31"), "No such file"),
        (("archives", "none"), "No such file"),
    ],
    ids=str,
)
def test_unknown_names_are_refused(
    workspace: Workspace, whole: Params, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["publish", *arguments])
    with pytest.raises((MorphstreamError, FileNotFoundError), match=message):
        main(workspace)


@pytest.fixture
def code(tmp_path: Path, workspace: Workspace) -> Path:
    """A folder of code; the rules of secrets, which take a while to compile, are those of other tests."""
    workspace.downloads.mkdir()
    (workspace.downloads / "secret_rules").symlink_to(DOWNLOADS / "secret_rules")
    (tmp_path / "code").mkdir()
    (tmp_path / "code/main.py").write_text("print('main')\n")
    return tmp_path / "code"


def test_code_is_deployed_to_its_tags_and_recorded(workspace: Workspace, hub: Hub, served: Served, code: Path) -> None:
    published(workspace, hub, "archives")
    before = archives(served)
    published(workspace, hub, "deploy", "--code", str(code), "--tag", "develop")
    assert set(archives(served)) - set(before) == {"deploy/develop/app_code.tar.zst"}
    check_complete(served, served.tip())
    (code / "main.py").write_text("print('newer')\n")
    published(workspace, hub, "deploy", "--code", str(code), "--tag", "latest")
    after = archives(served)
    assert after["deploy/develop/app_code.tar.zst"] != after["deploy/latest/app_code.tar.zst"]
    assert {name: after[name] for name in before} == before
    published(workspace, hub, "all", "--code", str(code), DEPLOY_TAGS="develop, latest")
    after = archives(served)
    assert after["deploy/develop/app_code.tar.zst"] == after["deploy/latest/app_code.tar.zst"]
    check_complete(served, served.tip())


def test_a_tag_goes_back_to_what_it_had_in_one_commit(
    workspace: Workspace, hub: Hub, served: Served, code: Path
) -> None:
    name = "deploy/develop/app_code.tar.zst"
    published(workspace, hub, "deploy", "--code", str(code), DEPLOY_TAGS="develop latest")
    first, before = served.tip(), archives(served)
    (code / "main.py").write_text("print('newer')\n")
    published(workspace, hub, "deploy", "--code", str(code))
    second = served.tip()
    rows = [line.split()[:2] for line in published(workspace, hub, "deploy", "--history").splitlines()]
    assert rows == [["develop", second], ["develop", first]]
    assert archives(served)[name] != before[name]
    published(workspace, hub, "deploy", "--back-to", first)
    assert served.commits()[1] == second
    assert archives(served) == before
    check_complete(served, served.tip())
    done = publish(workspace, hub, "deploy", "--back-to", served.commits()[-1])
    assert (done.returncode, served.commits()[1]) == (1, second)
    assert "deploy develop: expected deploy/develop/app_code.tar.zst at " in done.stderr


def test_a_secret_in_the_code_is_refused_before_the_hub_is_asked(
    workspace: Workspace, hub: Hub, served: Served, code: Path
) -> None:
    (code / "id_rsa").write_text("key")
    (line,) = publish(workspace, hub, "deploy", "--code", str(code)).stderr.splitlines()
    assert "deploy id_rsa: expected no secret, seen what looks like one (by its name)" in line
    assert hub.requests == []


def test_pack_models_sh(workspace: Workspace, hub: Hub, served: Served) -> None:
    (workspace.archives / "models-core-masks.tar.zst").unlink()
    done = run(workspace, hub, "scripts/pack_models.sh")
    assert (done.returncode, done.stderr) == (0, "")
    assert (workspace.archives / "models-core-masks.tar.zst").exists()
    assert hub.requests == []
    done = run(workspace, hub, "scripts/pack_models.sh", "--upload")
    assert (done.returncode, done.stderr) == (0, "")
    assert set(archives(served)) == {"models-core-masks.tar.zst"}
    check_complete(served, served.tip())
    assert run(workspace, hub, "scripts/pack_models.sh", "--help").returncode == 2


def test_pack_trt_cache_sh(workspace: Workspace, hub: Hub, served: Served) -> None:
    params = load_params(workspace.params)
    for key in ("sm89/trt10.9_ort1.21", "sm89/trt10.14_ort1.24"):
        write_cache(workspace, params, key, {"fan_68_5": key.encode()})
    done = run(workspace, hub, "scripts/pack_trt_cache.sh")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.split()) == ["cpu-cache-x86_64.tar.zst", "trt-cache-sm89.tar.zst"]
    done = run(workspace, hub, "scripts/pack_trt_cache.sh", "sm89", "trt10.9_ort1.21", "--upload")
    assert (done.returncode, done.stderr) == (0, "")
    entry = archives(served)["trt-cache-sm89.tar.zst"]
    assert "cache_key=CacheKey(arch='sm89', builder='tensorrt', versions=(('tensorrt', '10.9')" in repr(entry)
    done = run(workspace, hub, "scripts/pack_trt_cache.sh", "--upload")
    assert (done.returncode, done.stderr) == (0, "")
    assert set(archives(served)) == {"cpu-cache-x86_64.tar.zst", "trt-cache-sm89.tar.zst"}
    assert "'10.14'" in repr(archives(served)["trt-cache-sm89.tar.zst"])
    check_complete(served, served.tip())
    for wrong in (("sm89",), ("--uplaod",)):
        assert run(workspace, hub, "scripts/pack_trt_cache.sh", *wrong).returncode == 2
    (line,) = run(workspace, hub, "scripts/pack_trt_cache.sh", "sm89", "10.14").stderr.splitlines()
    assert "expected a cache key such as sm89/trt10.14_ort1.24, seen 'sm89/10.14'" in line


def test_a_plain_cache_is_published_once_it_is_adopted(workspace: Workspace, hub: Hub, served: Served) -> None:
    key = "sm89/trt10.14_ort1.24"
    write_cache(workspace, load_params(workspace.params), key, {"fan_68_5": b"engine"})
    path = workspace.caches / key / "manifest.json"
    data = read_json(path)
    for entry in data["engine_files"].values():
        del entry["sha256"], entry["bytes"], entry["kind"]
    write_json(path, data)
    (line,) = publish(workspace, hub, "engines", key).stderr.splitlines()
    assert f"expected a digest, seen none; run: python -m stages.index --adopt build/trt_cache/{key}" in line
    assert (
        run(workspace, hub, sys.executable, "-m", "stages.index", "--adopt", f"build/trt_cache/{key}").returncode == 0
    )
    published(workspace, hub, "engines", key)
    check_complete(served, served.tip())


def test_deploy_code_sh(workspace: Workspace, hub: Hub, served: Served, code: Path) -> None:
    done = run(workspace, hub, "scripts/deploy_code.sh", str(code))
    assert (done.returncode, done.stderr) == (0, "")
    assert set(archives(served)) == {"deploy/develop/app_code.tar.zst"}
    done = run(workspace, hub, "scripts/deploy_code.sh", str(code), DEPLOY_TAGS="latest")
    assert set(archives(served)) == {f"deploy/{tag}/app_code.tar.zst" for tag in ("develop", "latest")}
    done = run(workspace, hub, "scripts/deploy_code.sh", str(code), DEPLOY_TAGS="staging")
    assert "expected a tag of develop, latest, seen staging" in done.stderr
    assert run(workspace, hub, "scripts/deploy_code.sh", "--help").returncode == 2
    assert (workspace.build / "deploy/latest/app_code.tar.zst").exists()


def test_the_command_line_of_the_hub_gets_the_same_bytes(workspace: Workspace, hub: Hub, served: Served) -> None:
    published(workspace, hub)
    done = run(workspace, hub, "hf", "download", NAME, "--local-dir", "downloaded")
    assert done.returncode == 0
    got = {
        name: data for name, data in files_in(workspace.root / "downloaded").items() if not name.startswith(".cache/")
    }
    here = {
        name: data
        for name, data in files_in(workspace.build).items()
        if name.startswith(("models/", "trt_cache/", "archives/", "manifests/"))
    }
    assert {name: got[name] for name in here} == here
    documents = {path for path in got if path.endswith((".intoto.json", ".cdx.json"))}
    assert set(got) - set(here) - documents == {"README.md", "NOTICE", ".gitattributes"}
