"""Kill the swap of a video at random moments, resume it, and compare its frames with those of a run without a kill.

Promised: of 20 kills none shows a file under the output's name, and every resumed video has the same frames, times and
sound, bit for bit.
"""

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import av

import morphstream
from bench.clips import clip, write_clip

HERE = Path(__file__).resolve().parents[1]
PART_FRAMES = 30
_SWAP = """
import sys
import cv2, morphstream
from morphstream.media.video.swap_video import VideoOptions
store, photo, source, output, part, resume = sys.argv[1:]
with morphstream.open(store) as swap:
    somebody = swap.identify(cv2.imread(photo))
    options = VideoOptions(part_frames=int(part), resume=bool(resume))
    print("begun", flush=True)
    print(swap.video(source, output, somebody, options=options).frames)
"""


def main() -> int:
    """Print what was killed and whether it was the same; return 0 if the promise holds, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.kill_video", description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="how many runs to kill")
    parser.add_argument("--frames", type=int, default=150, help="of the video")
    parser.add_argument("--seed", type=int, default=17, help="of the moments")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        return _kill(Path(name), args.times, args.frames, random.Random(args.seed))


def _kill(folder: Path, times: int, frames: int, moments: random.Random) -> int:
    source, whole = folder / "in.mp4", folder / "whole.mp4"
    morphstream.boot(folder / "store", target="cpu", source=str(HERE / "build"))
    write_clip(clip("cross", (640, 360), frames), source)
    begun = _start(folder, source, whole, is_resumed=False)
    started = time.perf_counter()
    assert begun.wait() == 0
    seconds, expected, wrong = time.perf_counter() - started, _content(whole), 0
    print(f"{len(expected)} pictures and packets in {seconds:.1f} s without a kill")
    for number in range(times):
        output = folder / f"{number}.mp4"
        process, moment = _start(folder, source, output, is_resumed=False), moments.uniform(0, seconds)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        is_shown, parts = output.exists(), len(list(folder.glob(f".{output.name}.parts/*.json"))) - 1
        assert is_shown is False or _content(output) == expected  # it was done just before
        assert _start(folder, source, output, is_resumed=True).wait() == 0
        is_same = _content(output) == expected
        wrong += not is_same
        print(
            f"killed after {moment:5.2f} s with {max(parts, 0)} finished parts: {'equal' if is_same else 'NOT EQUAL'}"
        )
    print(f"{times - wrong} of {times} resumed videos are equal to the one without a kill")
    return int(wrong > 0)


def _start(folder: Path, source: Path, output: Path, *, is_resumed: bool) -> subprocess.Popen[str]:
    """Start the swap of a video, and wait until its engines are open."""
    photo = HERE / "build" / "demo" / "source.png"
    paths = map(str, (folder / "store", photo, source, output, PART_FRAMES))
    command = [sys.executable, "-c", _SWAP, *paths, "yes" if is_resumed else ""]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "begun\n"
    return process


def _content(path: Path) -> Sequence[str]:
    """Return a digest of each picture and each packet of sound, with their times."""
    digests = list[str]()
    with av.open(str(path)) as file:
        for picture in file.decode(video=0):
            digests.append(f"{picture.pts} {hashlib.sha256(picture.to_ndarray().tobytes()).hexdigest()}")
    with av.open(str(path)) as file:
        for packet in file.demux(audio=0):
            digests.append(f"{packet.pts} {hashlib.sha256(bytes(packet)).hexdigest()}")
    return digests


if __name__ == "__main__":
    sys.exit(main())
