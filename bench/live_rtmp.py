"""Swap a clip live into an RTMP server on loopback, play it from there, and measure how far sound is from the picture.

Promised: 40 ms at most. The server is nginx with its RTMP module, as Debian's packages nginx-light and
libnginx-mod-rtmp have it. Frames show their numbers and the clip beeps each second, so that of each frame that is
played it is known which sound went with it.
"""

import argparse
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np

from bench.clips import clip
from morphstream.frame import Frame
from morphstream.live.run import run_live
from morphstream.media.live.sink import open_output
from morphstream.media.live.source import open_input
from morphstream.pipeline import SwapPipeline
from morphstream.worker.worker import SwapWorker
from tests.media.live.counted import seen_in, with_number, write_clip

STORE = Path(__file__).resolve().parents[1] / "build/demo/store"
MOST_APART_S = 0.04
_CONFIGURATION = """
load_module modules/ngx_rtmp_module.so;
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/log;
events {{}}
rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{ live on; wait_key on; wait_video on; }} }} }}
"""


def main() -> int:
    """Print the figures; return 0 if the promise holds, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.live_rtmp", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of the clip (%(default)s)")
    options = parser.parse_args()
    frames = [frame.value for frame in clip("mixed", (640, 480), 100).frames()]

    def draw(number: int) -> Frame:
        return with_number(frames[number % len(frames)].copy(), number)

    with tempfile.TemporaryDirectory() as name, nginx(Path(name)) as address, SwapPipeline(STORE) as swap:
        path = write_clip(Path(name, "clip.mkv"), seconds=options.seconds, draw=draw)
        player = Player(address)
        source, output = open_input(str(path)), open_output(address)
        with SwapWorker(swap) as worker, worker.open("live", swap.identify(frames[0])) as stream:
            player.start()
            report = run_live(source, stream, [output], on_state=print)
        player.join()
    print(report)
    apart = 1000 * np.abs(player.seen.distances())
    print(f"{len(apart)} frames and {len(player.seen.beeps)} beeps were played; from its sound a frame is away by")
    print(f"{np.median(apart):.1f} ms in the median, {apart.max():.1f} ms at most (promised: {1000 * MOST_APART_S:g})")
    return not (len(apart) and apart.max() <= 1000 * MOST_APART_S)


class Player(threading.Thread):
    """Plays a stream from the moment it is there until it ends."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    def run(self) -> None:
        """Play it."""
        for _ in range(50):
            try:
                container = av.open(self._address, timeout=(5, 5))
            except av.FFmpegError:
                time.sleep(0.2)
                continue
            with container:
                self.seen = seen_in(container)
            return


@contextmanager
def nginx(folder: Path) -> Iterator[str]:
    """Yield the address of a stream on a server that runs until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, port=port))
    command = ["nginx", "-p", "/usr/share/nginx", "-c", str(configuration)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"rtmp://127.0.0.1:{port}/live/key"
        finally:
            process.terminate()


if __name__ == "__main__":
    sys.exit(main())
