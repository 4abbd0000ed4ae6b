"""Every code block of README and docs/ runs, in its page's order; one that can't says why, and its options exist.

The blocks of the README and those of Python run with the other tests, and `make docs-test` runs the commands of all
pages, which takes minutes.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from morphstream.store.store import Store
from tests.docs.blocks import Block, blocks_of
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
RUN = ("python", "sh")
SHOWN = ("", "dockerfile", "json", "text", "toml", "yaml")  # what is only shown, or is a file


def quick_of(page: str) -> list[bool]:
    """Return of each block of a page that runs whether it is quick."""
    return [block.is_quick for block in BLOCKS[page] if block.not_run is None and block.language in RUN]


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


@pytest.mark.parametrize("page", [page for page in BLOCKS if page == README or any(quick_of(page))])
def test_the_python_of_a_page_and_the_whole_readme_run(page: str, place: Path, request: pytest.FixtureRequest) -> None:
    run_page(page, request, place, is_whole=page == README)


@pytest.mark.docs
@pytest.mark.parametrize("page", [page for page in BLOCKS if page != README and not all(quick_of(page))])
def test_every_block_of_a_page_runs(page: str, place: Path, request: pytest.FixtureRequest) -> None:
    run_page(page, request, place, is_whole=True)


def run_page(page: str, request: pytest.FixtureRequest, place: Path, *, is_whole: bool) -> None:
    """Run the blocks of a page, in their order, all or those that are quick; write those that are files."""
    names: dict[str, object] = {"__name__": "__main__"}
    for block in BLOCKS[page]:
        where = f"{page}:{block.line}"
        folder = request.getfixturevalue("checkout") if block.in_checkout else place
        if block.file:
            (folder / block.file).write_text(block.text, "utf-8")
        elif block.is_quick or (is_whole and block.not_run is None and block.language in RUN):
            with contextlib.chdir(folder):
                run_block(block, where, names)


def run_shell(text: str, where: str) -> None:
    """Run commands as a reader pastes them, which must all succeed."""
    command = ["bash", "-e", "-o", "pipefail", "-c", text]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{where}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr, f"{where}: {done.stderr}"


def run_block(block: Block, where: str, names: dict[str, object]) -> None:
    """Run a block, of Python with the names of the page's blocks before."""
    if block.is_quick:
        exec(compile(block.text.replace("port=9300", "port=0"), where, "exec"), names)  # noqa: S102  # it is the project's own
        return
    if block.is_program:
        Path("program.py").write_text(block.text, "utf-8")
    run_shell(f"{sys.executable} program.py" if block.is_program else block.text, where)
