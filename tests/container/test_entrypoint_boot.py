"""What boot is asked for, and what it did, pass through the entry point; engines and code come from where it says."""

import shutil
from pathlib import Path

from morphstream.boot.report import BootReport
from morphstream.store.store import Store
from tests.container.conftest import Container, steps_of
from tests.layouts import CODE, CPU
from tests.loopback.server import READ_TOKEN, Hub
from tests.source.hub.answering import put


def fallbacks_of(container: Container) -> tuple[str, ...]:
    return BootReport.from_json((container.folder / "boot.json").read_text()).fallbacks


def test_what_boot_did_lies_in_a_file_for_the_command(container: Container) -> None:
    done = container.run("sh", "-c", 'cat "$MORPHSTREAM_BOOT_REPORT"')
    report = BootReport.from_json(done.stdout)
    assert (str(report.cache_key), report.was_good, report.fallbacks) == (CPU, False, ())
    assert "morphstream.boot: install" in done.stderr
    assert BootReport.from_json(container.run("sh", "-c", 'cat "$MORPHSTREAM_BOOT_REPORT"').stdout).was_good


def test_without_a_file_to_write_it_goes_on_and_the_command_is_told_of_none(container: Container) -> None:
    container.with_(MORPHSTREAM_BOOT_REPORT="/nowhere/boot.json")
    done = container.run("sh", "-c", "echo ${MORPHSTREAM_BOOT_REPORT-none}")
    assert (done.returncode, done.stdout) == (0, "none\n")
    assert steps_of(done.stderr)[:2] == [
        "report: /nowhere/boot.json: expected a writable file, seen No such file or directory; continuing without it",
        f"boot: {container.state}/store is good",
    ]
    assert f"{CPU} from " in done.stderr  # boot's own words


def test_a_source_that_fails_leaves_the_store_and_is_said(container: Container, code: Path) -> None:
    container.run("true")
    (code / "manifests/archives.json").write_text("{")
    done = container.run("echo", "it runs")
    assert (done.returncode, done.stdout) == (0, "it runs\n")
    fallbacks = ", ".join(fallbacks_of(container))
    assert "store kept" in fallbacks
    said = f"boot: {container.state}/store is good, with fallbacks ({fallbacks}); see the warnings above"
    assert steps_of(done.stderr)[0] == said


def test_what_nobody_has_published_is_built_and_contributed_as_it_says(container: Container, code: Path) -> None:
    builder = container.folder / "pipeline/stages/build.py"  # in the place of the pipeline's own
    builder.parent.mkdir(parents=True)
    (builder.parents[1] / "params.yaml").touch()
    copy = f"shutil.copytree({str(code / 'trt_cache')!r}, sys.argv[3] + '/trt_cache')"
    builder.write_text(f"import shutil, sys\n{copy}\nprint('given', *sys.argv[1:2], *sys.argv[4:])\nsys.exit(3)\n")
    done = container.with_(
        MORPHSTREAM_SOURCE="/nowhere",
        MORPHSTREAM_GROUPS="core",
        MORPHSTREAM_BUILD=str(builder.parents[1]),
        MORPHSTREAM_CONTRIBUTE="org/name",
    ).run("true")
    assert done.returncode == 0, done.stderr
    assert f"given {CPU} --group core --contribute org/name" in done.stderr
    assert {"built here", "not contributed"} <= set(fallbacks_of(container))
    assert set(Store(container.state / "store").current().models.values()) == {"core"}


def test_a_private_repository_gives_engines_and_code(container: Container, code: Path, hub: Hub) -> None:
    repository = hub.create("org/name")
    put(repository, code)
    repository.commit(repository.tip(), "Deploy", {CODE: (code / CODE).read_bytes()})
    container.with_(MORPHSTREAM_SOURCE="/nowhere,hub:org/name", DEPLOY_TAG="develop", DEPLOY_REQUIRED="1")
    done = container.with_(**hub.environment(container.folder, token=READ_TOKEN)).run()
    assert (done.returncode, done.stdout) == (0, "one\n"), done.stderr
    assert f"{CODE} from hub org/name@main: release" in done.stderr
    assert READ_TOKEN not in done.stderr
    repository.commit(repository.tip(), "Break", {CODE: b"odd"})
    shutil.rmtree(container.app)
    refused = container.run()
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "morphstream deploy: archive: expected whole zstd frames, seen" in refused.stderr
