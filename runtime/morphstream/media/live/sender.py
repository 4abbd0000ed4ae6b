"""Send frames and sound to a server in a process of its own, as a sink: ``python -m morphstream.media.live.sender``.

PyAV holds Python's lock while it connects and sends its header, and gives no time-out: a server that doesn't answer
would stop every thread. A process is ended. It reads from stdin the target as a line of JSON, then for each item a
header and its bytes. Once it is connected it says ``ready`` on stdout; what it refuses is a line there.
"""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from struct import Struct
from typing import IO, BinaryIO, NoReturn, cast

import numpy as np

from morphstream.artifact.errors import VideoError
from morphstream.closing import Closing
from morphstream.media.live.certificate import certificate_options
from morphstream.media.live.items import TICKS, LiveFrame, Sound
from morphstream.media.live.muxed import Destination, MuxedSink

_HEADER = Struct("<?qII")  # whether it is a frame, its time, height and width of a frame, or samples and channels
_MOST_WAIT_S = 10.0  # to connect, or until the network takes something
_END_S, _READY = 3.0, b"ready\n"


class Sender(Closing):
    """A process that sends to a server; ended where it doesn't take what it is given."""

    def __init__(self, target: Destination, *, has_sound: bool, most_wait_s: float = _MOST_WAIT_S) -> None:
        """Begin; the server is connected at the first frame.

        Args:
            target: Where it is sent, and how.
            has_sound: Whether it gets a track for sound.
            most_wait_s: How long the server may take nothing.
        """
        self._name, self._most_wait_ms, self._is_refused = target.name, most_wait_s * 1000, False
        folders = [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH")]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "morphstream.media.live.sender"],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, folders))},
            start_new_session=True,  # Ctrl-C ends the stream by its end
        )
        self._input, self._answers = (cast("IO[bytes]", pipe) for pipe in (self._process.stdin, self._process.stdout))
        os.set_blocking(self._input.fileno(), False)
        self._begin, self._is_connected = {"target": asdict(target), "has_sound": has_sound}, False

    def put(self, item: LiveFrame | Sound | None) -> bool:
        """Send a frame or sound.

        Raises:
            VideoError: The server can't be reached, or takes nothing any more.
        """
        if item is None or not (self._is_connected or isinstance(item, LiveFrame)):
            return True
        if not self._is_connected:
            self._write(json.dumps(self._begin).encode() + b"\n")
        data = item.frame if isinstance(item, LiveFrame) else item.samples
        shape = data.shape[0], data.shape[1]
        self._write(_HEADER.pack(isinstance(item, LiveFrame), round(item.time * TICKS), *shape))
        self._write(data.tobytes())
        if not self._is_connected:
            self._wait(self._answers, select.POLLIN)
            if (answer := self._answers.readline()) != _READY:
                self._refuse(answer)
            self._is_connected = True
        return True

    def close(self) -> None:
        """Send the end, and wait for the process; errors as of `put`."""
        try:
            answer, _ = self._process.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            answer, _ = self._process.communicate()
        if answer and not self._is_refused:
            self._refuse(answer)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            self._wait(self._input, select.POLLOUT)
            try:
                left = left[os.write(self._input.fileno(), left) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                self._refuse(self._answers.readline())

    def _wait(self, pipe: IO[bytes], event: int) -> None:
        poll = select.poll()
        poll.register(pipe, event)
        if not poll.poll(self._most_wait_ms):
            self._process.kill()
            seen = f"seen it take nothing for {self._most_wait_ms / 1000:g} s"
            self._refuse(f"{self._name}: expected it to take what is sent, {seen}; look at its network".encode())

    def _refuse(self, answer: bytes) -> NoReturn:
        self._is_refused = True
        line = f"{self._name}: expected a process that sends, seen it end; look at its memory"
        raise VideoError(answer.decode().strip() or line)


def main() -> int:
    """Send what stdin gives; return 1 where the server refuses it, whose line is on stdout."""
    if not (line := sys.stdin.buffer.readline()):  # there was no frame
        return 0
    given = json.loads(line)
    with ExitStack() as stack:
        target = Destination(**given["target"])
        if target.container == "whip":
            options = stack.enter_context(certificate_options())
            target = replace(target, options={**target.options, **options})
        try:
            with MuxedSink(target, has_sound=given["has_sound"]) as sink:
                for number, item in enumerate(_items(sys.stdin.buffer)):
                    sink.put(item)  # the first one, a frame, connects
                    if number == 0:
                        print("ready", flush=True)
        except VideoError as error:
            with suppress(BrokenPipeError):
                print(error, end="")
            return 1
    return 0


def _items(stream: BinaryIO) -> Iterator[LiveFrame | Sound]:
    while len(header := stream.read(_HEADER.size)) == _HEADER.size:
        is_frame, ticks, first, second = _HEADER.unpack(header)
        count = first * second * (3 if is_frame else 2)  # bytes
        if len(data := stream.read(count)) < count:  # who began this process is gone
            return
        placed = Fraction(ticks, TICKS)
        if is_frame:
            frame = np.frombuffer(data, np.uint8).reshape(first, second, 3)
            yield LiveFrame(frame=frame, time=placed, arrived=0)
        else:
            yield Sound(samples=np.frombuffer(data, np.int16).reshape(first, second), time=placed)


if __name__ == "__main__":
    sys.exit(main())
