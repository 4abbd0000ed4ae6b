"""Swap a video as a plain loop does, frame by frame: decode, swap, encode; the sound is copied.

Run by `bench.video` in processes of their own, with the packages of the checkout whose frames it swaps; imports nothing
of this project but what swaps.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from morphstream.pipeline import SwapPipeline

Pixels = npt.NDArray[np.uint8]
Swap = Callable[[Pixels], Pixels]


def main() -> int:
    """Write the video; return 0."""
    parser = argparse.ArgumentParser(prog="python -m bench.plain_loop", description=__doc__)
    parser.add_argument("way", choices=sorted(WAYS))
    parser.add_argument("source", type=Path, help="picture of the face to put in")
    parser.add_argument("target", type=Path, help="a video")
    parser.add_argument("output", type=Path)
    parser.add_argument("--files", type=Path, help="the store, or the folder of the models")
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--options", type=json.loads, required=True, help="of the encoder, as JSON")
    args = parser.parse_args()
    with WAYS[args.way](args.source, args.files) as swap:
        write(args.target, args.output, swap, args.encoder, args.options)
    return 0


def write(target: Path, output: Path, swap: Swap | None, encoder: str, options: dict[str, str]) -> None:
    """Encode each frame of a video anew, swapped; without `swap` as it was decoded, and never converted to BGR."""
    with av.open(str(target)) as source, av.open(str(output), "w") as sink:
        video, sound = source.streams.video[0], source.streams.audio[0]
        video.thread_type = "AUTO"
        encoded = sink.add_stream(encoder, rate=video.average_rate, options=options)
        assert isinstance(encoded, av.VideoStream)
        encoded.width, encoded.height, encoded.pix_fmt = video.width, video.height, "yuv420p"
        copied = sink.add_stream_from_template(sound)
        for packet in source.demux(video, sound):
            if packet.stream is sound:
                if packet.size:
                    packet.stream = copied
                    sink.mux(packet)
                continue
            for picture in packet.decode():
                assert isinstance(picture, av.VideoFrame)
                frame = picture
                if swap:
                    pixels = np.asarray(picture.to_ndarray(format="bgr24"), np.uint8)
                    frame = av.VideoFrame.from_ndarray(swap(pixels), format="bgr24")
                    frame.pts, frame.time_base = picture.pts, picture.time_base
                frame.pict_type = av.video.frame.PictureType.NONE
                sink.mux(encoded.encode(frame))
        sink.mux(encoded.encode(None))


@contextmanager
def nothing(_source: Path, _files: Path) -> Iterator[None]:
    """Yield no swap: what is left is to decode and to encode."""
    yield


@contextmanager
def morphstream_swap(source: Path, store: Path) -> Iterator[Swap]:
    """Yield the swap of whatever version of this project is installed, each frame looked at once."""
    import morphstream

    look = {"look": morphstream.Look(angles=())} if hasattr(morphstream, "Look") else {}  # earlier ones look once
    opened: Callable[..., SwapPipeline] = getattr(morphstream, "open", None) or morphstream.FaceSwapper.open  # type: ignore[attr-defined]
    with opened(store, **look) as swap:
        identity = swap.identify(np.asarray(cv2.imread(str(source)), np.uint8))
        yield lambda frame: swap.swap(frame, identity)


@contextmanager
def insightface_swap(source: Path, build: Path) -> Iterator[Swap]:
    """Yield InsightFace's swap, with its own steps: detect, swap each face, paste."""
    from bench.insightface import installed_peer

    with installed_peer(build / "peer", build / "models") as peer:
        picture = cv2.imread(str(source))
        boxes, points = peer.detector.detect(picture)
        donor = peer.face(bbox=boxes[0, :4], kps=points[0], det_score=boxes[0, 4])
        peer.embedder.get(picture, donor)

        def swap(frame: Pixels) -> Pixels:
            found, kps = peer.detector.detect(frame)
            for box, five in zip(found, kps, strict=True):
                frame = peer.swapper.get(frame, peer.face(bbox=box[:4], kps=five), donor)
            return frame

        yield swap


WAYS = {"decode-encode": nothing, "morphstream": morphstream_swap, "insightface": insightface_swap}

if __name__ == "__main__":
    sys.exit(main())
