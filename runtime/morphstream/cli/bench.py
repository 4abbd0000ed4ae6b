"""``morphstream bench``: measure what frames cost with a store's engines on this machine."""

import argparse
import json
import platform
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from morphstream import __version__
from morphstream.artifact.errors import MorphstreamError, NoFaceError, VideoError, message_of
from morphstream.artifact.vocabulary import SWAP_MODEL
from morphstream.cli.look import add_look, check_boost, read_look
from morphstream.cli.options import Commands, add_max_pixels, add_source, add_threads, checked, whole_number
from morphstream.cli.videos import most_pixels
from morphstream.machine.limits import check_limits
from morphstream.media.kinds import is_video
from morphstream.store.store import Store

if TYPE_CHECKING:
    from morphstream.cli.agreement import Agreement
    from morphstream.face.types import Face
    from morphstream.frame import Frame
    from morphstream.machine.probe import Machine
    from morphstream.pipeline import SwapPipeline

_CPUINFO = Path("/proc/cpuinfo")
_SIDES = (64, 16384)  # of a made-up frame, pixels


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser("bench", help="measure what frames cost on this machine, to compare or to send")
    text = "picture or video whose faces are swapped (a made-up picture: the engines take as long)"
    parser.add_argument("clip", type=Path, nargs="?", help=text)
    read = checked(whole_number(1, 100_000))
    parser.add_argument("--frames", type=read, default=100, help="how many are measured (%(default)s)")
    parser.add_argument("--size", type=checked(_read_size), default=(1280, 720), help="of a made-up frame (1280x720)")
    parser.add_argument("--faces", type=checked(whole_number(1, 64)), default=1, help="in a made-up frame (1)")
    parser.add_argument("--swap-model", default=SWAP_MODEL, help="such as hyperswap_1a_256 (%(default)s)")
    parser.add_argument("--cuda-graph", action="store_true", help="replay runs on a GPU as CUDA graphs")
    add_max_pixels(parser)
    add_look(parser)
    add_source(parser)
    add_threads(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure, and print what was found; return 1 where an engine's answers aren't the CPU's."""
    check_limits()
    look = read_look(options)
    from morphstream.boot.doctor import diagnose
    from morphstream.cli.measured import Bench
    from morphstream.cli.timed import timed_engines
    from morphstream.machine.gpus import read_gpus
    from morphstream.machine.probe import probe_machine
    from morphstream.pipeline import SwapPipeline
    from morphstream.session.load import usable_cores

    store, machine, gpus, frame = Store(options.store), probe_machine(), read_gpus(), _frame_of(options)
    (engines, spent), start, threads = timed_engines(), time.perf_counter(), options.threads or usable_cores()
    opening = partial(SwapPipeline, store, swap_model=options.swap_model, look=look, threads=threads, machine=machine)
    with opening(cuda_graph=options.cuda_graph, engines=engines) as pipeline:
        bench = Bench(pipeline, spent, opened_s=time.perf_counter() - start, gpus=gpus)
        check_boost(look, pipeline)
        faces = _faces_of(options, frame, pipeline)
        measured = bench.measure(frame, faces, options.frames)
        clip = bench.swap_clip(options.clip, most_pixels(options)) if options.clip and is_video(options.clip) else None
    agreements, reason = _agreements(store, machine, options, frame, faces[0])
    diagnosis = diagnose(store, machine, gpus)
    system = {"cpu": _cpu(), "cores": usable_cores(), "threads": threads, "os": platform.platform(), **_versions()}
    if options.json:
        found = {"system": system, "swap_model": options.swap_model, "look": asdict(look), **asdict(measured)}
        found |= {"clip": clip and asdict(clip), "not_compared": reason, "diagnosis": diagnosis.facts}
        print(json.dumps(found | {"agreements": [asdict(one) for one in agreements]}, indent=2, default=sorted))
    else:
        print(*diagnosis.lines, f"system     {', '.join(f'{name} {fact}' for name, fact in system.items())}", sep="\n")
        print(*measured.lines(), *(clip.lines() if clip else ()), *_lines(agreements, reason), sep="\n")
    return int(not all(one.is_close for one in agreements))


def _frame_of(options: argparse.Namespace) -> "Frame":
    """Return what is measured on: of a video the first frame."""
    if options.clip is None:
        from morphstream.cli.measured import made_up_frame

        return made_up_frame(*options.size)
    if is_video(options.clip):
        from morphstream.media.video.read import VideoSource  # PyAV is an extra

        with VideoSource(options.clip, max_pixels=most_pixels(options)) as source:
            first = source.read()
        if first is None:
            raise VideoError(f"{options.clip}: expected a frame, seen none; name another")
        return first.value.frame
    from morphstream.cli.pictures import hushed
    from morphstream.media.image import read_image

    with hushed():
        return read_image(options.clip, max_pixels=options.max_pixels)


def _faces_of(options: argparse.Namespace, frame: "Frame", pipeline: "SwapPipeline") -> "Sequence[Face]":
    from morphstream.cli.measured import made_up_faces

    if options.clip is None:
        return made_up_faces(frame, options.faces)
    found = pipeline.analyser.find(frame, pipeline.look)
    if not found.faces and not is_video(options.clip):  # whose other frames may have some
        raise NoFaceError(f"{options.clip}: expected a face, {found.reason}")
    return found.faces or made_up_faces(frame, options.faces)


def _agreements(
    store: Store, machine: "Machine", options: argparse.Namespace, frame: "Frame", face: "Face"
) -> "tuple[Sequence[Agreement], str]":
    """Return how near the answers of a store's engines are to the CPU's, or why they aren't compared."""
    from morphstream.cli.agreement import agreements

    key = store.current().cache_key
    if key.builder == "openvino" and not key.precision:
        return [], f"{key} are the CPU's own"
    try:
        return list(agreements(store, machine, options.source, frame, face)), ""
    except (MorphstreamError, OSError) as error:
        return [], f"the CPU's engines, of --source, aren't there: {message_of(error)}"


def _lines(agreements: "Sequence[Agreement]", reason: str) -> list[str]:
    lines = [f"engines are not compared with the CPU's: {reason}"] if reason else ["engine against the CPU's"]
    return ["", *lines, *map(str, agreements)]


def _versions() -> dict[str, str]:
    import cv2
    import numpy as np

    own = {"morphstream": __version__, "python": platform.python_version()}
    return own | {"numpy": np.__version__, "opencv": cv2.__version__}


def _cpu() -> str:
    """Return the name of the CPU, or of its arch where the system gives no other."""
    with suppress(OSError):
        if found := re.search(r"^model name\s*: (.+)$", _CPUINFO.read_text("utf-8", "replace"), re.MULTILINE):
            return message_of(found[1])
    return platform.processor() or platform.machine()


def _read_size(text: str) -> tuple[int, int]:
    """Return a width and a height.

    Raises:
        ValueError: They aren't such as 1280x720, or out of range.
    """
    width, separator, height = text.partition("x")
    if not separator:
        raise ValueError(f"expected a width and a height such as 1280x720, seen {text!r}")
    read = whole_number(*_SIDES)
    return read(width), read(height)
