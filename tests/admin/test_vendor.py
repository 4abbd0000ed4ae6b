"""The page's libraries are the files of their packages, byte for byte."""

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from stages.admin.admin import HERE

VENDOR = HERE / "static/vendor"
PACKAGES = json.loads((VENDOR / "packages.json").read_bytes())


def test_every_script_is_named_with_its_package() -> None:
    assert {path.name for path in VENDOR.iterdir()} == {"packages.json", *PACKAGES}
    for entry in PACKAGES.values():
        assert entry.keys() == {"package", "version", "licence", "tarball", "path", "integrity"}
        assert entry["tarball"] == f"{entry['package']}-{entry['version']}.tgz"


@pytest.mark.network
@pytest.mark.parametrize("name", PACKAGES)
@pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")
def test_a_script_is_its_package_s_own_file(tmp_path: Path, name: str) -> None:
    entry = PACKAGES[name]
    subprocess.run(["npm", "pack", "--silent", f"{entry['package']}@{entry['version']}"], cwd=tmp_path, check=True)
    data = (tmp_path / entry["tarball"]).read_bytes()
    assert entry["integrity"] == f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}"
    with tarfile.open(tmp_path / entry["tarball"]) as package:
        file = package.extractfile(entry["path"])
        assert file is not None
        assert file.read() == (VENDOR / name).read_bytes()
