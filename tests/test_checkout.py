"""A copied checkout runs its own code, or says that it must be set up again; never the code of another checkout."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stages import ROOT

LIGHT = ("__init__.py", "__main__.py", "process.py", "artifact/__init__.py", "artifact/errors.py", "boot/__init__.py")
COMMAND = "#!{python}\nimport sys\nfrom morphstream.__main__ import main\nsys.exit(main())\n"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Set up a checkout in the way that `make setup` does, copy it, and return the copy."""
    first = tmp_path_factory.mktemp("checkouts") / "first"
    for name in (*(f"runtime/morphstream/{name}" for name in (*LIGHT, "session/__init__.py")), "stages/__init__.py"):
        (first / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, first / name)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", first / ".venv"], check=True)
    (site,) = first.glob(".venv/lib/*/site-packages")
    (site / "_morphstream.pth").write_text(str(first / "runtime"), "utf-8")
    (first / ".venv/bin/morphstream").write_text(COMMAND.format(python=first / ".venv/bin/python"), "utf-8")
    (first / ".venv/bin/morphstream").chmod(0o755)
    return Path(shutil.copytree(first, first.with_name("copy"), symlinks=True))


def run(folder: Path, *command: str) -> tuple[int, str]:
    environment = {"PATH": f"{folder}/.venv/bin"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("command", [["morphstream", "doctor"], ["python", "-m", "morphstream", "doctor"]], ids=len)
def test_the_command_refuses_to_run_the_code_of_another_checkout(copy: Path, command: list[str]) -> None:
    code, said = run(copy, str(copy / ".venv/bin" / command[0]), *command[1:])
    own, other = (folder / "runtime/morphstream" for folder in (copy, copy.with_name("first")))
    expected = f"morphstream doctor: expected to run the code of {own}, seen that of {other}, as .venv was copied"
    assert (code, said) == (1, f"{expected} or moved; run there: rm -rf .venv && make setup\n")


def test_the_stages_use_the_runtime_beside_them(copy: Path) -> None:
    code, said = run(copy, str(copy / ".venv/bin/python"), "-c", "import stages, morphstream as m; print(m.__file__)")
    assert (code, said) == (0, f"{copy}/runtime/morphstream/__init__.py\n")
