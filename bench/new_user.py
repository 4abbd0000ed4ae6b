"""Time the path of a new user: the commands of docs/tutorial.md, from a fresh clone, with a hub on loopback.

What it promises: the first swapped picture in 3 minutes, a repository of one's own and a worker that boots from it in
10. ``python -m bench.new_user`` asks the package index that pip is told of, and builds everything; with ``--keep
FOLDER`` the clone stays there.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.docs.blocks import Block, blocks_of
from tests.docs.place import add_clip
from tests.loopback.server import Hub

ROOT = Path(__file__).parents[1]
PAGE = "docs/tutorial.md"
SLOW = "takes minutes"  # why the tests don't run a block that is run here
FIRST_PICTURE_S, BOOTED_S = 180.0, 600.0
_CLONED = "morphstream-models"


def main() -> int:
    """Run the tutorial; return 0 where it was as quick as promised."""
    parser = argparse.ArgumentParser(prog="python -m bench.new_user", description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="a new folder for the clone (a temporary one)")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(exist_ok=True)
        hub = stack.enter_context(Hub(folder / "hub"))
        picture_s, booted_s = time_blocks(folder, hub)
    print(f"first picture after {picture_s:.0f} s, a worker that booted from an own repository after {booted_s:.0f} s")
    return int(picture_s > FIRST_PICTURE_S or booted_s > BOOTED_S)


def time_blocks(folder: Path, hub: Hub) -> tuple[float, float]:
    """Run each block in its turn; return the seconds until the first picture, and until a worker has booted."""
    environment = {**os.environ, **hub.environment(folder / "home"), "HOME": str(folder / "home")}
    environment.pop("PYTHONPATH", None)
    (folder / "home").mkdir(exist_ok=True)
    total_s = picture_s = booted_s = 0.0
    for block in filter(is_run, blocks_of(ROOT / PAGE)):
        total_s += run_block(block, folder, environment)
        picture_s = picture_s or total_s
        booted_s = total_s if "entrypoint.sh" in block.text else booted_s
    return picture_s, booted_s


def is_run(block: Block) -> bool:
    """Return whether a block is one of the user's way; not what needs Docker, an account, or serves."""
    return block.language == "sh" and block.not_run in (None, SLOW)


def run_block(block: Block, folder: Path, environment: dict[str, str]) -> float:
    """Run a block where the user is by then; return its seconds.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    clone = folder / _CLONED
    where = clone if clone.exists() else folder
    path = f"{clone / '.venv/bin'}{os.pathsep}{environment['PATH']}"
    text = block.text.replace("git clone URL", f"git clone --quiet {ROOT}")
    if "clip.mp4" in text:
        add_clip(clone)
    start = time.perf_counter()
    command = ["bash", "-e", "-o", "pipefail", "-c", text]
    subprocess.run(command, cwd=where, env={**environment, "PATH": path}, stdin=subprocess.DEVNULL, check=True)
    seconds = time.perf_counter() - start
    print(f"{PAGE}:{block.line}: {seconds:.1f} s", flush=True)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
