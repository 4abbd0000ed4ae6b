"""Interrupt and terminate every command at random moments, in a copy of a built checkout.

Promised: 200 signals; each command that a signal ends does so in one line, with 130 or 143, within `LONGEST_S`, the
other commands end as if there had been none, and nothing half-written is left: afterwards every command works again,
and `build/` holds what it held. What arrives before a program's first line the interpreter answers; it is counted.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.layouts import publish_code
from tests.stages import ROOT, files_in

LONGEST_S = 5.0
PICTURES = ("build/demo/source.png", "build/demo/target.jpg")
STORE = ("--store", "signals/store")
MODEL, TARGET = "xseg_1", "cpu"
COMMANDS: dict[str, tuple[str, ...]] = {  # in an order in which each has what it needs
    "boot": ("morphstream", "boot", "--source", "build", "--update", *STORE),
    "download": ("morphstream", "download", "hyperswap_1a_256", "--source", "build", *STORE),
    "doctor": ("morphstream", "doctor", *STORE),
    "swap": ("morphstream", "swap", *PICTURES, "-o", "signals/out.png", *STORE),
    "faces": ("morphstream", "faces", PICTURES[1], "-o", "signals/faces.png", "--overwrite", *STORE),
    "serve-health": ("morphstream", "serve-health", "--port", "0", *STORE),
    "deploy": ("morphstream", "deploy", "develop", "--source", "signals/code", "--into", "signals/app"),
    "declare": ("stages.declare",),
    "fetch": ("stages.fetch", MODEL),
    "prepare": ("stages.prepare", MODEL),
    "compile": ("stages.compile", TARGET, MODEL),
    "engines": ("stages.engines", MODEL),
    "index": ("stages.index", TARGET),
    "pack": ("stages.pack", TARGET),
    "check": ("stages.check", MODEL),
    "validate": ("stages.validate", "--index"),
    "prune": ("stages.prune",),
    "plan": ("stages.farm", "plan"),
    "rebuild": ("stages.farm", "rebuild", "--model", MODEL, "--target", TARGET, "--force"),
    "build": ("stages.build", TARGET, "--group", "yolov8n", "--into", "signals/built"),
    "report": ("stages.report",),
}


def main() -> int:
    """Print how the commands ended; return 0 if each did as promised, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.signals", description=__doc__)
    parser.add_argument("--times", type=int, default=200, help="how many signals to send")
    parser.add_argument("--seed", type=int, default=15, help="of the moments")
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=list(COMMANDS), help="which (all)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder, "checkout")
        copy_checkout(work)
        seconds = {
            name: run(work, name) for name in COMMANDS if name in options.commands or name in ("boot", "declare")
        }
        before = built_in(work)
        ends, faults = send_signals(
            work, options.times, options.seed, {name: seconds[name] for name in options.commands}
        )
        for name in options.commands:
            run(work, name)
        after = built_in(work)
    faults += [f"build/{path}: other than before" for path in before if before[path] != after.get(path)]
    faults += [f"build/{path}: left" for path in after.keys() - before.keys() if ".part" in path or ".old" in path]
    print("\n".join([", ".join(f"{what}: {count}" for what, count in sorted(ends.items())), *faults]))
    return 1 if faults else 0


def copy_checkout(work: Path) -> None:
    """Copy the files of this checkout, with what was built."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, work / name)
    for name in ("build", ".dvc", ".cache"):
        shutil.copytree(ROOT / name, work / name, dirs_exist_ok=True)
    subprocess.run(["git", "init", "--quiet"], cwd=work, check=True)
    publish_code(work / "signals/code", "one")


def built_in(work: Path) -> dict[str, bytes]:
    """Return the files of build/, but for figures that were measured."""
    return {path: data for path, data in files_in(work / "build").items() if not path.startswith("measured/")}


def start(work: Path, name: str) -> subprocess.Popen[str]:
    """Start a command in a copy, in a process group of its own."""
    shutil.rmtree(work / "signals/built", ignore_errors=True)
    if name == "boot":
        shutil.rmtree(work / "signals/store", ignore_errors=True)
    environment = os.environ | {"PYTHONPATH": str(work / "runtime"), "DVC_SITE_CACHE_DIR": str(work.parent / "site")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [sys.executable, "-m", *COMMANDS[name]]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=work, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def run(work: Path, name: str) -> float:
    """Run a command, which must end well, and return the seconds that it took; a server is stopped when it is ready."""
    started, process = time.monotonic(), start(work, name)
    if name == "serve-health" and process.stdout:
        while "ready with" not in process.stdout.readline():
            pass
        process.terminate()
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"{name}: expected it to work, seen {process.returncode}: {said}")
    return time.monotonic() - started


def send_signals(work: Path, times: int, seed: int, seconds: dict[str, float]) -> tuple[Counter[str], list[str]]:
    """Send signals to commands in turns; return how these ended, and what was not as promised."""
    moments, ends, faults = random.Random(seed), Counter[str](), list[str]()
    for turn in range(times):
        name = list(seconds)[turn % len(seconds)]
        number = moments.choice((signal.SIGINT, signal.SIGTERM))
        if name != "boot" and not (work / "signals/store/current.json").exists():
            run(work, "boot")
        process, moment = start(work, name), moments.uniform(0, 1.05 * seconds[name])
        time.sleep(moment)
        sent = time.monotonic()
        process.send_signal(number)
        try:
            _, said = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            _, said = process.communicate()
        took_s = time.monotonic() - sent
        end = end_of(process.returncode, number, said)
        ends[end] += 1
        if end == "otherwise" or took_s > LONGEST_S:
            faults.append(f"{name}: {number.name} at {moment:.3f} s: {process.returncode} after {took_s:.1f} s: {said}")
    return ends, faults


def end_of(code: int, number: signal.Signals, said: str) -> str:
    """Return how a command ended, in words."""
    lines = said.strip().splitlines()
    word = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[number]
    if code == -number or said.startswith(("Fatal Python error: init_", "Could not import runpy module")):
        return "before its first line"
    if code == 0:
        return "with its work done"
    is_line = bool(lines) and lines[-1].endswith(f": {word}") and said.count(word) == 1 and "Traceback" not in said
    return "in one line" if code == 128 + number and is_line else "otherwise"


if __name__ == "__main__":
    sys.exit(main())
