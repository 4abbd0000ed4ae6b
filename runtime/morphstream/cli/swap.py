"""``morphstream swap``: swap every face of a picture."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from morphstream.artifact.errors import FrameError, MorphstreamError, NoFaceError
from morphstream.artifact.vocabulary import SWAP_MODEL
from morphstream.cli.look import add_look, read_look
from morphstream.cli.options import Commands, UsageError, checked, read_threads
from morphstream.machine.limits import check_limits

if TYPE_CHECKING:
    from morphstream.face.types import FoundFaces
    from morphstream.frame import Frame
    from morphstream.pipeline import SwapPipeline


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("swap", help="swap every face of a picture")
    parser.add_argument("source", type=Path, help="picture of the face to put in; its owner must have agreed")
    parser.add_argument("target", type=Path, help="picture whose faces are swapped; their owners must have agreed")
    parser.add_argument("-o", "--output", type=Path, required=True, help="picture to write, marked as synthetic")
    parser.add_argument("--swap-model", default=SWAP_MODEL, help="such as hyperswap_1a_256 (%(default)s)")
    add_look(parser)
    parser.add_argument("--threads", type=checked(read_threads), default=0, help="threads to run on (every core)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Swap, and print how many faces were found and the seconds of each step."""
    check_limits()
    look = read_look(options)
    from morphstream.media.image import ImageSink, ImageSource, check_output, read_image
    from morphstream.pipeline import SwapPipeline
    from morphstream.stream.run import run as run_stream

    check_output(options.output)
    source, started = read_image(options.source), time.perf_counter()
    with SwapPipeline(options.store, swap_model=options.swap_model, look=look, threads=options.threads) as pipeline:
        if look.pixel_boost and look.pixel_boost % pipeline.swapper.side:
            expected = f"a multiple of {pipeline.swapper.side} pixels, the side of {options.swap_model}"
            raise UsageError(f"--pixel-boost: expected {expected}, seen {look.pixel_boost}")
        picture = _Picture(pipeline, options, source, started)
        try:
            run_stream(ImageSource(options.target), [picture.find, picture.swap], ImageSink(options.output))
        except FrameError as error:  # its one frame is the picture
            raise error.__cause__ if isinstance(error.__cause__, MorphstreamError) else error from None
    print(f"{options.output}: {picture.summary()}")
    return 0


class _Picture:
    """The two steps of a pipeline on one picture, timed, with its faces counted."""

    def __init__(self, pipeline: "SwapPipeline", options: argparse.Namespace, source: "Frame", started: float) -> None:
        self._target, self._swap_model, self._times = options.target, options.swap_model, [started, time.perf_counter()]
        try:
            self._find, self._swap = pipeline.steps(pipeline.identify(source))
        except NoFaceError as error:
            raise NoFaceError(f"{options.source}: {error}") from None
        self._faces = 0

    def find(self, frame: "Frame") -> "FoundFaces":
        found = self._find(frame)
        self._faces = len(found.faces)
        if not found.faces:
            raise NoFaceError(f"{self._target}: expected a face to swap, seen none; use a picture that shows one")
        self._times.append(time.perf_counter())
        return found

    def swap(self, found: "FoundFaces") -> "Frame":
        frame = self._swap(found)
        self._times.append(time.perf_counter())
        return frame

    def summary(self) -> str:
        opened, detected, swapped = (
            after - before for before, after in zip(self._times, self._times[1:], strict=False)
        )
        steps = f"open {opened:.2f} s, detect {detected:.2f} s, swap {swapped:.2f} s"
        return f"{self._faces} faces found, {self._faces} swapped with {self._swap_model}; {steps}"
