"""demo: rebuild every artifact, boot from them and swap the faces of a real photo, as the README says."""

import sys
import time
from collections.abc import Mapping

import cv2

from morphstream.artifact.errors import MorphstreamError
from morphstream.program import ProgramError
from morphstream.program import run_program as run_command
from stages.files import write_whole
from stages.kit.detector import solvay
from stages.photos import astronaut
from stages.program import read_arguments, run_program
from stages.workspace import Workspace

_DAY_S = 86400.0


def main(workspace: Workspace) -> Mapping[str, object]:
    """Run the three commands and print how long each took."""
    read_arguments(__doc__)
    source, target, swapped = (workspace.demo / name for name in ("source.png", "target.jpg", "swapped.jpg"))
    store = ("--store", str(workspace.demo / "store"))
    commands = {
        "dvc repro": ("dvc", "repro"),
        "boot": ("morphstream", "boot", *store, "--source", str(workspace.build)),
        "swap": ("morphstream", "swap", str(source), str(target), "-o", str(swapped), "--overwrite", *store),
    }
    write_whole(target, solvay(workspace.downloads))  # the Solvay conference of 1927, and an astronaut (NASA): both of
    cv2.imwrite(str(source), astronaut())  # the public domain, and out of packages
    seconds = {}
    for name, (program, *arguments) in commands.items():
        start, command = time.perf_counter(), [sys.executable, "-m", program, *arguments]
        try:
            run_command(command, folder=workspace.root, environment={}, timeout_s=_DAY_S)
        except ProgramError as error:
            raise MorphstreamError(f"{name}: {error}; see what it says above") from None
        seconds[name] = time.perf_counter() - start
    print(", ".join(f"{name} {value:.1f} s" for name, value in seconds.items()))
    print(f"look at {swapped} beside {target} and {source}")
    return {"seconds": seconds, "swapped": str(swapped), "target": str(target), "source": str(source)}


if __name__ == "__main__":
    run_program(main)
