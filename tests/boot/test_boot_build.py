"""What nobody has published is built here, by the pipeline's own program, and only then."""

import sys
from pathlib import Path

import pytest

from morphstream.artifact.errors import MorphstreamError
from morphstream.boot.boot import boot
from morphstream.boot.build import Builder, BuildError
from morphstream.store.store import Store
from tests.boot.test_boot_engines import pipeline
from tests.boot.test_boot_order import Elsewhere
from tests.layouts import CPU, MACHINE


def test_what_was_built_is_verified_and_nothing_else_is_left(store: Store, tmp_path: Path) -> None:
    builder = Builder(pipeline(tmp_path / "pipeline", 0, CPU), contribute="us/models")
    report = boot(store, source=tmp_path / "nowhere", machine=MACHINE, groups=["core"], builder=builder)
    assert [step.name for step in report.steps] == ["probe", "store", "select", "install", "build"]
    assert (report.archive, store.current().models) == (f"trt_cache/{CPU}", {"det_10g": "core"})
    assert (tmp_path / "pipeline/asked").read_text() == f"{CPU} --group core --contribute us/models"
    assert {path.name for path in store.path.iterdir()} == {".lock", "caches", "current.json"}
    store.verify()


def test_what_was_built_and_could_not_be_published_serves(store: Store, tmp_path: Path) -> None:
    builder = Builder(pipeline(tmp_path / "pipeline", 3, CPU), contribute="us/models")
    report = boot(store, target="cpu", source=tmp_path / "nowhere", machine=MACHINE, builder=builder)
    assert report.fallbacks == ("source passed over", "not contributed", "built here")


@pytest.mark.parametrize(
    ("code", "expected"),
    [(1, "expected exit 0, seen exit 1; see what it says"), (None, "expected the pipeline in .*, seen no params.yaml")],
)
def test_a_build_that_fails_is_the_refusal(store: Store, tmp_path: Path, code: int | None, expected: str) -> None:
    folder = pipeline(tmp_path / "pipeline", code or 0, CPU)
    if code is None:
        (folder / "params.yaml").unlink()
    with pytest.raises(BuildError, match=rf"^build {CPU}: {expected}"):
        boot(store, source=tmp_path / "nowhere", machine=MACHINE, builder=Builder(folder))
    assert {path.name for path in store.path.iterdir()} <= {".lock", "caches"}


def test_a_build_that_does_not_end_is_ended(store: Store, tmp_path: Path) -> None:
    folder = pipeline(tmp_path / "pipeline", 0, CPU)
    (folder / "stages/build.py").write_text("import time; time.sleep(60)")
    with pytest.raises(BuildError, match=r"expected its end within 0\.3 s, seen none"):
        boot(store, source=tmp_path / "nowhere", machine=MACHINE, builder=Builder(folder, timeout_s=0.3))


def test_a_good_store_is_not_built(store: Store, layout: Path) -> None:
    boot(store, source=layout, machine=MACHINE)
    assert boot(store, source=Elsewhere(layout), machine=MACHINE, builder=Builder(Path("nowhere"))).was_good


def test_a_builder_is_this_python(tmp_path: Path) -> None:
    folder = pipeline(tmp_path / "pipeline", 0, CPU)
    (folder / "stages/build.py").write_text("import sys; open('python', 'w').write(sys.executable)")
    with pytest.raises(MorphstreamError):
        boot(tmp_path / "store", source=tmp_path / "nowhere", machine=MACHINE, builder=Builder(folder))
    assert (folder / "python").read_text() == sys.executable
