"""demo: rebuild every artifact, boot from them and swap the faces of a real photo, as the README says."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import cv2

from stages.files import BUILD, write_whole
from stages.kit.detector import solvay
from stages.photos import astronaut
from stages.program import run_program

DEMO = BUILD / "demo"


def main() -> None:
    """Run the three commands and print how long each took.

    Raises:
        MorphstreamError: The demo's photos can't be had.
        OSError: A file can't be written.
    """
    argparse.ArgumentParser(prog="python -m stages.demo", description=__doc__).parse_args()
    steps = [
        ("photos", _photos),
        ("dvc repro", lambda: _run("dvc", "repro")),
        ("boot", lambda: _run("morphstream", "boot", "--store", str(DEMO / "store"), "--source", str(BUILD))),
        ("swap", _swap),
    ]
    seconds = {}
    for name, step in steps:
        start = time.perf_counter()
        step()
        seconds[name] = time.perf_counter() - start
    print(", ".join(f"{name} {value:.1f} s" for name, value in seconds.items()))
    print(f"look at {DEMO / 'swapped.jpg'} beside {DEMO / 'target.jpg'} and {DEMO / 'source.png'}")


def _photos() -> None:
    """Bring the astronaut (NASA, public domain) and the Solvay conference of 1927, both out of packages."""
    DEMO.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(DEMO / "source.png"), astronaut())
    write_whole(DEMO / "target.jpg", solvay())


def _swap() -> None:
    pictures = [str(DEMO / name) for name in ("source.png", "target.jpg")]
    _run("morphstream", "swap", *pictures, "-o", str(DEMO / "swapped.jpg"), "--store", str(DEMO / "store"))


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run([str(Path(sys.executable).parent / program), *arguments], check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    run_program(main)
