"""demo: rebuild every artifact, boot from them and swap the faces of a real photo, as the README says."""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2

from stages.files import write_whole
from stages.kit.detector import solvay
from stages.photos import astronaut
from stages.program import run_program
from stages.workspace import Workspace


def main(workspace: Workspace) -> None:
    """Run the three commands and print how long each took.

    Raises:
        MorphstreamError: The demo's photos can't be had.
        OSError: A file can't be written.
    """
    argparse.ArgumentParser(prog="python -m stages.demo", description=__doc__).parse_args()
    demo = workspace.demo
    steps: list[tuple[str, Callable[[], None]]] = [
        ("photos", lambda: _photos(workspace)),
        ("dvc repro", lambda: _run("dvc", "repro")),
        ("boot", lambda: _run("morphstream", "boot", "--store", str(demo / "store"), "--source", str(workspace.build))),
        ("swap", lambda: _swap(demo)),
    ]
    seconds = {}
    for name, step in steps:
        start = time.perf_counter()
        step()
        seconds[name] = time.perf_counter() - start
    print(", ".join(f"{name} {value:.1f} s" for name, value in seconds.items()))
    print(f"look at {demo / 'swapped.jpg'} beside {demo / 'target.jpg'} and {demo / 'source.png'}")


def _photos(workspace: Workspace) -> None:
    """Bring the astronaut (NASA, public domain) and the Solvay conference of 1927, both out of packages."""
    workspace.demo.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(workspace.demo / "source.png"), astronaut())
    write_whole(workspace.demo / "target.jpg", solvay(workspace.downloads))


def _swap(demo: Path) -> None:
    pictures = [str(demo / name) for name in ("source.png", "target.jpg")]
    _run("morphstream", "swap", *pictures, "-o", str(demo / "swapped.jpg"), "--store", str(demo / "store"))


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run([str(Path(sys.executable).parent / program), *arguments], check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    run_program(main)
