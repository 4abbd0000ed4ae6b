"""Build everything in two clean folders that have nothing in common but the source, and compare every digest.

The second folder has a long name with spaces and letters of other scripts, another user without a name, another locale,
time zone, date, umask, hash seed and number of cores, as far as this machine has what that needs; what it lacks is
said. Engines for CPUs and for TensorRT for RTX, archives, manifests, the bill of materials, statements and the notice
must be equal.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from morphstream.artifact.digest import digest_of_file

ROOT = Path(__file__).parents[1]
_NAMES = ("archives", "manifests", "models", "trt_cache", "NOTICE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where and how something is built: the name of its folder, what starts its programs, and their environment."""

    name: str
    starter: tuple[str, ...]
    environment: Mapping[str, str]
    umask: int


PLAIN = Surroundings(name="a", starter=(), environment={"LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "0"}, umask=0o022)


def main() -> int:
    """Print what differs, or that nothing does; return 1 where something does."""
    parser = argparse.ArgumentParser(prog="python -m bench.reproducible", description=__doc__)
    parser.parse_args()
    odd, lacking = odd_surroundings()
    for line in lacking:
        print(f"not tried: {line}")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        built = [digests_of(build(one, Path(folder) / one.name)) for one in (PLAIN, odd)]
    names = sorted(built[0].keys() | built[1].keys())
    different = [name for name in names if built[0].get(name) != built[1].get(name)]
    for name in different:
        print(f"different: {name}: {built[0].get(name)} and {built[1].get(name)}")
    kinds = ("trt_cache/", ".tar.zst", ".intoto.json", "bom.cdx")
    counts = {kind: sum(kind in name for name in names) for kind in kinds}
    print(f"{len(names) - len(different)} of {len(names)} files equal; {counts}")
    return int(bool(different) or not names)


def odd_surroundings() -> tuple[Surroundings, list[str]]:
    """Return surroundings as other as this machine has them, and what it lacks."""
    starter, lacking = list[str](), list[str]()
    for program, words in {
        "setpriv": ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", *_CAPABILITIES],
        "taskset": ["taskset", "--cpu-list", "0"],
        "faketime": ["faketime", "-f", "+40d"],
    }.items():
        if shutil.which(program) and (program != "setpriv" or os.getuid() == 0):
            starter += words
        else:
            lacking.append(program)
    known = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout
    if "tr_TR" not in known:
        lacking.append("the locale tr_TR.UTF-8")
    environment = {"LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "1", "SOURCE_DATE_EPOCH": "1000"}
    name = "a folder, deeper/\u0645\u062c\u0644\u062f/\u00fcber 2"
    return Surroundings(name=name, starter=tuple(starter), environment=environment, umask=0o077), lacking


_CAPABILITIES = ("--inh-caps=+dac_override,+dac_read_search", "--ambient-caps=+dac_override,+dac_read_search")


def build(around: Surroundings, folder: Path) -> Path:
    """Build everything of this checkout in a clean folder, and return it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, folder], check=True)  # of a worktree too
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    if (ROOT / ".cache").is_dir():
        shutil.copytree(ROOT / ".cache", folder / ".cache")
    (folder / ".venv").symlink_to(Path(sys.prefix))
    for path in (folder, *folder.rglob("*")):
        if "setpriv" in around.starter and not path.is_symlink():
            os.chown(path, 12345, 12345)
    home = folder / "home"
    environment = {
        "PATH": f"{Path(sys.prefix)}/bin:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(folder), str(folder / "runtime")]),
        "HOME": str(home),
        "LOGNAME": "somebody",  # which DVC asks for
        "DVC_SITE_CACHE_DIR": str(folder / "site"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        **around.environment,
    }
    for command in (["dvc", "repro"], [sys.executable, "-m", "stages.provenance", "--quiet"]):
        started = [*around.starter, *command]
        subprocess.run(started, cwd=folder, env=environment, umask=around.umask, stdin=subprocess.DEVNULL, check=True)
    return folder / "build"


def digests_of(build_folder: Path) -> dict[str, str]:
    """Return the sha256 of each published file by its path."""
    return dict(_digests(build_folder))


def _digests(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] in _NAMES and path.name != ".gitignore":
            yield name.as_posix(), digest_of_file(path).sha256


if __name__ == "__main__":
    sys.exit(main())
