"""Clean environments with the wheel and what one of its extras declares, and what can be done in each."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2] / "fuzz/root.json"
HEIC = Path(__file__).parents[1] / "corpus/pictures/turned.heic"
# What shows that an extra is enough, and what is printed without it. `{store}` and `{picture}` are a booted store's and
# a photo's.
USES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "cpu": (
        ("morphstream", "swap", "{picture}", "{picture}", "-o", "out.png", "--store", "{store}"),
        "install openvino 2026.4",
    ),
    "health": (("python", "-c", "import morphstream.health.metrics"), "run: pip install 'morphstream[health]'"),
    "video": (("python", "-c", "import morphstream.media.video.swap_video, yaml"), "pip install 'morphstream[video]'"),
    "live": (("python", "-c", "import morphstream.live.server"), "run: pip install 'morphstream[live]'"),
    "signed": (
        ("python", "-c", f"import morphstream.source.signed as s; s.read_root(open({str(ROOT)!r}, 'rb').read(), 'it')"),
        "run: pip install 'morphstream[signed]'",
    ),
    "c2pa": (
        ("python", "-c", "import morphstream.media.credentials as c; c._library()"),
        "run: pip install 'morphstream[c2pa]'",
    ),
    "completion": (("morphstream", "completion", "bash"), "run: pip install 'morphstream[completion]'"),
    "heic": (
        ("python", "-c", f"import morphstream.media.read as m; m.read_picture(m.Path({str(HEIC)!r}))"),
        "run: pip install 'morphstream[heic]'",
    ),
}
# What those bring that are gigabytes, or are for a checkout alone: that they can be resolved is shown, no more.
OF_GIGABYTES = {
    "gpu": "onnxruntime-gpu==1.24.4",
    "rtx": "onnxruntime-ep-nv-tensorrt-rtx-cu12==0.5.0",
    "tensorrt": "tensorrt-cu12-libs==10.14.1.48.post1",
    "pipeline": "openvino==2026.4.1",
    "dev": "openvino==2026.4.1",
    "openssf": "model-signing==1.1.1",
}


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a program of an environment, in its folder, with nothing of this one's."""
    program, *arguments = command
    home = {"HOME": str(folder), "PATH": os.defpath, "TMPDIR": str(folder)}
    return subprocess.run(
        [folder / "bin" / program, *arguments], cwd=folder, env=home, capture_output=True, text=True, check=False
    )


def linked(folder: Path, wheel: Path, extra: str) -> Path:
    """Make an environment of a wheel and of links to the packages that an extra needs, as they are installed here."""
    made(folder)
    uv("pip", "install", "--offline", "--no-deps", "--python", str(folder), str(wheel))
    (site,) = folder.glob("lib/python*/site-packages")
    (package,) = distributions(path=[str(site)])
    for needed in closure(package, extra):
        for file in needed.files or ():
            top = Path(file.parts[0])
            if top.name not in ("..", "__pycache__") and not (site / top).exists():
                (site / top).symlink_to(str(needed.locate_file(str(top))))
    return folder


def installed(folder: Path, package: Path, extra: str) -> Path:
    """Make an environment of a wheel or sdist with an extra, from the package registry."""
    made(folder)
    uv("pip", "install", "--python", str(folder), f"{package}[{extra}]" if extra else str(package))
    return folder


def made(folder: Path) -> None:
    """Make an empty environment."""
    uv("venv", "--python", sys.executable, str(folder))


def uv(*arguments: str) -> str:
    """Run uv, which must succeed, and return what it prints."""
    done = subprocess.run([sys.executable, "-m", "uv", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def closure(package: Distribution, extra: str, seen: set[tuple[str, str]] | None = None) -> Iterator[Distribution]:
    """Yield the installed packages that one needs with an extra, and they in turn.

    Raises:
        AssertionError: One has another version than is declared.
    """
    seen = set() if seen is None else seen
    for line in package.requires or ():
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        needed = distribution(requirement.name)
        assert requirement.specifier.contains(needed.version), f"{package.name} needs {requirement}: {needed.version}"
        for of_needed in requirement.extras or {""}:
            if (requirement.name, of_needed) not in seen:
                seen.add((requirement.name, of_needed))
                yield needed
                yield from closure(needed, of_needed, seen)
