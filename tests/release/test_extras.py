"""Each extra brings what it is for, in an environment that has nothing else; without it, what to install is said."""

from collections.abc import Sequence
from pathlib import Path

import pytest

import morphstream
from morphstream.store.store import Store
from tests.release.conftest import Packages
from tests.release.environment import OF_GIGABYTES, USES, installed, linked, made, run, uv

TYPED = """
import numpy as np

import morphstream

swap: morphstream.SwapPipeline = morphstream.open("store")
frame: int = swap(np.zeros((8, 8, 3), np.uint8), swap.identify(np.zeros((8, 8, 3), np.uint8)))
"""
# TensorRT's packages are built out of NVIDIA's own index, which isn't reached everywhere: what they need is said here.
OF_NVIDIAS_INDEX = "".join(
    f"""
[[dependency-metadata]]
name = "tensorrt-cu12{part}"
version = "10.14.1.48.post1"
requires-dist = {needs}
"""
    for part, needs in {
        "": '["tensorrt-cu12-libs==10.14.1.48.post1", "tensorrt-cu12-bindings==10.14.1.48.post1"]',
        "-libs": '["nvidia-cuda-runtime-cu12"]',
        "-bindings": "[]",
    }.items()
)


def use(extra: str, store: Path, picture: Path) -> Sequence[str]:
    """Return the command that shows what an extra is for."""
    return [word.format(store=store, picture=picture) for word in USES[extra][0]]


@pytest.fixture(scope="module")
def bare(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it needs in any case."""
    return linked(tmp_path_factory.mktemp("bare"), packages.wheel, "")


@pytest.mark.parametrize("extra", USES)
def test_without_an_extra_what_to_install_is_said(extra: str, bare: Path, booted: Store, picture: Path) -> None:
    done = run(bare, *use(extra, booted.path, picture))
    assert done.returncode == 1
    assert USES[extra][1] in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("extra", USES)
def test_an_extra_is_enough(extra: str, packages: Packages, booted: Store, picture: Path, tmp_path: Path) -> None:
    folder = linked(tmp_path / "environment", packages.wheel, extra)
    done = run(folder, *use(extra, booted.path, picture))
    assert (done.returncode, (folder / "out.png").exists()) == (0, extra == "cpu"), done.stderr


@pytest.mark.network
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
@pytest.mark.parametrize("extra", ["", *USES])
def test_an_extra_is_installed(
    extra: str, kind: str, packages: Packages, booted: Store, picture: Path, tmp_path: Path
) -> None:
    folder = installed(tmp_path / "environment", getattr(packages, kind), extra)
    assert run(folder, "morphstream", "--version").stdout == f"morphstream {morphstream.__version__}\n"
    if extra:
        done = run(folder, *use(extra, booted.path, picture))
        assert (done.returncode, (folder / "out.png").exists()) == (0, extra == "cpu"), done.stderr


@pytest.mark.network
@pytest.mark.parametrize(("extra", "brings"), OF_GIGABYTES.items())
def test_what_an_extra_needs_can_be_resolved(extra: str, brings: str, packages: Packages, tmp_path: Path) -> None:
    made(tmp_path / "environment")
    (tmp_path / "uv.toml").write_text(OF_NVIDIAS_INDEX)
    settings = ("--config-file", str(tmp_path / "uv.toml"), "--python", str(tmp_path / "environment"))
    assert f" + {brings}" in uv("pip", "install", "--dry-run", *settings, f"{packages.wheel}[{extra}]")


@pytest.mark.network
def test_a_type_checker_sees_the_types_of_the_installed_package(packages: Packages, tmp_path: Path) -> None:
    folder = installed(tmp_path / "environment", packages.wheel, "")
    uv("pip", "install", "--python", str(folder), "mypy")
    (folder / "typed.py").write_text(TYPED)
    done = run(folder, "mypy", "--strict", "typed.py")
    assert "typed.py:7: error: Incompatible types in assignment" in done.stdout
    assert "Found 1 error in 1 file" in done.stdout
