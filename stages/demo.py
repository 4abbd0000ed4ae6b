"""demo: rebuild every artifact, boot from them and swap the faces of a real photo, as the README says."""

import subprocess
import sys
import time
from pathlib import Path

import cv2

from stages.files import write_whole
from stages.kit.detector import solvay
from stages.photos import astronaut
from stages.program import read_arguments, run_program
from stages.workspace import Workspace


def main(workspace: Workspace) -> None:
    """Run the three commands and print how long each took."""
    read_arguments(__doc__)
    source, target, swapped = (workspace.demo / name for name in ("source.png", "target.jpg", "swapped.jpg"))
    store = ("--store", str(workspace.demo / "store"))
    commands = {
        "dvc repro": ("dvc", "repro"),
        "boot": ("morphstream", "boot", *store, "--source", str(workspace.build)),
        "swap": ("morphstream", "swap", str(source), str(target), "-o", str(swapped), *store),
    }
    write_whole(target, solvay(workspace.downloads))  # the Solvay conference of 1927, and an astronaut (NASA): both of
    cv2.imwrite(str(source), astronaut())  # the public domain, and out of packages
    seconds = {}
    for name, (program, *arguments) in commands.items():
        start = time.perf_counter()
        done = subprocess.run([str(Path(sys.executable).parent / program), *arguments], check=False)
        if done.returncode:
            sys.exit(done.returncode)
        seconds[name] = time.perf_counter() - start
    print(", ".join(f"{name} {value:.1f} s" for name, value in seconds.items()))
    print(f"look at {swapped} beside {target} and {source}")


if __name__ == "__main__":
    run_program(main)
