"""Every code block of README and docs/ runs, in its page's order; one that can't says why, and its options exist.

The blocks of the README and those of Python run with the other tests, and `make docs-test` runs the commands of all
pages, which takes minutes.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from morphstream.store.store import Store
from tests.docs.blocks import blocks_of
from tests.docs.commands import unknown_options
from tests.docs.place import add_pictures, make_place
from tests.loopback.server import Hub
from tests.source.hub.answering import put
from tests.stages import ROOT
from tests.test_pipeline import build, built_once

README = "README.md"
PAGES = [README, "CONTRIBUTING.md", "manifests/README.md"]
PAGES += sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
BLOCKS = {page: blocks for page in PAGES if (blocks := list(blocks_of(ROOT / page)))}
RUN = PYTHON, SHELL = "python", "sh"
SHOWN = ("", "dockerfile", "json", "text", "toml", "yaml")  # what is only shown, or is a file


def languages_of(page: str) -> set[str]:
    """Return in which languages a page has blocks that run."""
    return {block.language for block in BLOCKS[page] if block.not_run is None}


@pytest.fixture(scope="module")
def prepared(published: Path, booted: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder of `make_place`, of which each page has a copy."""
    folder = tmp_path_factory.mktemp("docs") / "place"
    make_place(folder, published, booted.path)
    return folder


@pytest.fixture
def place(prepared: Path, environment: None, tmp_path: Path) -> Path:
    """Copy what a reader has beside a page."""
    subprocess.run(["cp", "-a", prepared, tmp_path / "place"], check=True)
    return tmp_path / "place"


@pytest.fixture
def checkout(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """Copy a project that was built, of a few models, with what a reader has beside a page."""
    first = built_once(tmp_path_factory, "pipeline", build).folder
    subprocess.run(["cp", "-a", first, tmp_path / "checkout"], check=True)
    add_pictures(tmp_path / "checkout")
    return tmp_path / "checkout"


@pytest.fixture
def environment(hub: Hub, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what is in the environment: a home of its own, and a hub that holds ORG/REPO."""
    put(hub.create("ORG/REPO"), published)
    (tmp_path / "home").mkdir()
    values = {
        **hub.environment(tmp_path / "home"),
        "HOME": str(tmp_path / "home"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT / 'runtime'}{os.pathsep}{ROOT}",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("page", BLOCKS)
def test_every_block_is_of_a_known_language_and_each_option_of_its_commands_exists(page: str) -> None:
    for block in BLOCKS[page]:
        where = f"{page}:{block.line}"
        assert block.language in (*RUN, *SHOWN), f"{where}: expected {RUN} or what is only shown, {SHOWN}"
        if block.language == "sh":
            assert [*unknown_options(block.text)] == [], where


@pytest.mark.parametrize("page", [page for page in BLOCKS if page == README or PYTHON in languages_of(page)])
def test_the_python_of_a_page_and_the_whole_readme_run(page: str, place: Path, request: pytest.FixtureRequest) -> None:
    run_page(page, request, place, only=RUN if page == README else (PYTHON,))


@pytest.mark.docs
@pytest.mark.parametrize("page", [page for page in BLOCKS if page != README and SHELL in languages_of(page)])
def test_every_block_of_a_page_runs(page: str, place: Path, request: pytest.FixtureRequest) -> None:
    run_page(page, request, place, only=RUN)


def run_page(page: str, request: pytest.FixtureRequest, place: Path, *, only: Collection[str]) -> None:
    """Run the blocks of a page, in their order, of these languages alone; write those that are files."""
    names: dict[str, object] = {"__name__": "__main__"}
    for block in BLOCKS[page]:
        where = f"{page}:{block.line}"
        folder = request.getfixturevalue("checkout") if block.in_checkout else place
        if block.file:
            (folder / block.file).write_text(block.text, "utf-8")
        elif block.not_run is None and block.language in only:
            with contextlib.chdir(folder):
                run_shell(block.text, where) if block.language == SHELL else run_python(block.text, where, names)


def run_shell(text: str, where: str) -> None:
    """Run commands as a reader pastes them, which must all succeed."""
    command = ["bash", "-e", "-o", "pipefail", "-c", text]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{where}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr, f"{where}: {done.stderr}"


def run_python(text: str, where: str, names: dict[str, object]) -> None:
    """Run Python with the names of the page's blocks before; a program that starts processes as a file of its own."""
    if "__main__" in text:
        Path("program.py").write_text(text, "utf-8")
        run_shell(f"{sys.executable} program.py", where)
    else:
        exec(compile(text, where, "exec"), names)  # noqa: S102  # it is the project's own
