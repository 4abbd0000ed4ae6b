"""The wheel has the whole package and nothing else, the sdist makes the same wheel, and the version is in one place."""

import re
import subprocess
import tarfile
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

import morphstream
from tests.release.conftest import ROOT, Packages, build
from tests.release.environment import OF_GIGABYTES, USES


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(packages: Packages) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "morphstream"],
        cwd=ROOT / "runtime",
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    names = ZipFile(packages.wheel).namelist()
    about = {name.partition("/")[2] for name in names if name.startswith(f"morphstream-{morphstream.__version__}.dist")}
    assert about == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    assert sorted(name for name in names if ".dist-info/" not in name) == sorted(
        name for name in tracked if (ROOT / "runtime" / name).exists()
    )
    assert "morphstream/py.typed" in names  # so that a type checker reads the annotations


def test_the_sdist_makes_the_same_wheel(packages: Packages, tmp_path: Path) -> None:
    with tarfile.open(packages.sdist) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    (again,) = build(source, tmp_path / "again", "wheel").iterdir()
    assert again.name == packages.wheel.name
    assert again.read_bytes() == packages.wheel.read_bytes()
    assert {path.name for path in source.iterdir()} == {
        *("CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml", "runtime", ".gitignore"),
    }


def test_the_version_is_that_of_the_code_and_every_extra_is_tried(packages: Packages) -> None:
    (path,) = (name for name in ZipFile(packages.wheel).namelist() if name.endswith("/METADATA"))
    metadata = message_from_bytes(ZipFile(packages.wheel).read(path))
    assert metadata["Version"] == morphstream.__version__
    assert packages.sdist.name == f"morphstream-{morphstream.__version__}.tar.gz"
    assert {*metadata.get_all("Provides-Extra", ())} == {*USES, *OF_GIGABYTES}


def test_the_changelog_has_both_parts_of_every_release() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    releases = re.split(r"^## \[(.+)\].*$", text, flags=re.MULTILINE)[1:]
    versions, bodies = releases[::2], releases[1::2]
    assert versions[0] == "Unreleased"
    assert versions[1:2] in ([], [morphstream.__version__])
    for body in bodies:
        assert re.findall(r"^### (.+)$", body, re.MULTILINE) == ["Artifacts", "Runtime"]
        assert {*re.findall(r"^#### (.+)$", body, re.MULTILINE)} <= {"Added", "Changed", "Removed", "Fixed"}
