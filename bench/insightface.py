"""Compare face swaps with InsightFace's on the same ONNX files: differences and times.

Promised: boxes and points within 0.5 pixels, scores within 0.001, embeddings with a cosine of 0.9999, latents equal,
swapped crops within 2 levels; and a 1080p frame with one face, from detection to paste, in a third of InsightFace's
time, if OpenCV and the engines of both have two threads.

The peer, InsightFace, is installed from the package index into build/peer/ and runs in this process, with the same
OpenCV, ONNX Runtime and number of threads. The files are the kit's: a trained SCRFD as detector, stand-ins otherwise.
"""

import argparse
import contextlib
import io
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import cv2
import numpy as np
import onnxruntime

import morphstream
from bench.face_host import median_ms
from morphstream.face.detect import DirectSCRFD
from morphstream.face.embed import DirectArcFace
from morphstream.face.geometry import ARCFACE_128, align, cut_crop
from morphstream.face.look import Look
from morphstream.face.swap import Swapper
from morphstream.face.types import Face, Identity
from morphstream.frame import Frame
from morphstream.session.load import load_emap, open_session
from stages.files import BUILD
from stages.photos import astronaut, solvay

PEER = "insightface==2.1"
SWAP_MODEL = "inswapper_128"
THREADS = 2
PIXELS, SCORE, COSINE, LATENT, LEVELS, TIMES = 0.5, 1e-3, 0.9999, 1e-6, 2, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """The greatest difference of each kind over the faces of a photo; for the cosine, the least value."""

    faces: int
    pixels: float
    score: float
    cosine: float
    latent: float
    levels: int

    def are_kept(self) -> bool:
        """Return whether all are within the promised bounds."""
        is_near = self.pixels <= PIXELS and self.score <= SCORE and self.latent <= LATENT
        return is_near and self.cosine >= COSINE and self.levels <= LEVELS


class Peer(NamedTuple):
    """InsightFace's own classes on the kit's files; untyped."""

    detector: Any
    embedder: Any
    swapper: Any
    face: Any


def main() -> int:
    """Print what differs and the times; return 0 if the promises hold, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.insightface", description=__doc__)
    parser.add_argument("--runs", type=int, default=30, help="of which the median is taken")
    runs = parser.parse_args().runs
    is_kept = True
    with installed_peer(BUILD / "peer", BUILD / "models") as peer, tempfile.TemporaryDirectory() as store:
        morphstream.boot(store, target="cpu", source=BUILD)
        for name, photo in (("astronaut", astronaut()), ("group", solvay())):
            print(f"{name}: {(seen := compare(peer, store, photo))}")
            is_kept &= seen.are_kept()
        for threads in (1, THREADS):
            cv2.setNumThreads(threads)
            theirs, ours = times_ms(peer, store, runs)
            print(f"1080p, one face, cv2.setNumThreads({threads}), engines on {THREADS} threads, median of {runs}:")
            print(f"  InsightFace {theirs:.1f} ms, morphstream {ours:.1f} ms: {theirs / ours:.2f} times its speed")
            is_kept &= threads < THREADS or theirs / ours >= TIMES
    print("all promises are kept" if is_kept else "NOT all promises are kept")
    return 0 if is_kept else 1


@contextlib.contextmanager
def installed_peer(folder: Path, models: Path) -> Iterator[Peer]:
    """Install the peer into a folder, on top of this environment, and open its classes on published models."""
    if not (folder / "insightface").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), PEER]
        subprocess.run(command, check=True)
    sys.path.insert(0, str(folder))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.redirect_stdout(io.StringIO()):
                peer = _opened(models)
            yield peer
    finally:
        sys.path.remove(str(folder))


def _opened(models: Path) -> Peer:
    zoo = {name: import_module(f"insightface.model_zoo.{name}") for name in ("scrfd", "arcface_onnx", "inswapper")}
    files = {"scrfd": "buffalo_l/det_10g", "arcface_onnx": "buffalo_l/w600k_r50", "inswapper": SWAP_MODEL}
    classes = {"scrfd": "SCRFD", "arcface_onnx": "ArcFaceONNX", "inswapper": "INSwapper"}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = THREADS, 3
    opened = {}
    for name, module in zoo.items():
        path = str(models / f"{files[name]}.onnx")
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        opened[name] = getattr(module, classes[name])(path, session=session)
    opened["scrfd"].prepare(-1, input_size=(640, 640))
    face = import_module("insightface.app.common").Face
    return Peer(opened["scrfd"], opened["arcface_onnx"], opened["inswapper"], face)


def compare(peer: Peer, store: str | Path, frame: Frame) -> Differences:
    """Return the differences on a photo; crops that leave it are skipped, because the peer pads them with black."""
    installed = morphstream.Store(store).current()
    detector, embedder = (open_session(installed, name, threads=THREADS) for name in ("det_10g", "w600k_r50"))
    swapper = Swapper(open_session(installed, SWAP_MODEL, threads=THREADS), load_emap(installed, SWAP_MODEL))
    ours = DirectSCRFD(detector).detect(frame)
    boxes, points = peer.detector.detect(frame)
    if len(boxes) != len(ours):
        raise AssertionError(f"expected {len(boxes)} faces as InsightFace finds, seen {len(ours)}")
    theirs = [peer.face(bbox=box[:4], kps=kps, det_score=box[4]) for box, kps in zip(boxes, points, strict=True)]
    identities = DirectArcFace(embedder).embed(frame, ours)
    pixels, cosines, latents, levels = [], [], [], [0]
    for face, other, identity in zip(ours, theirs, identities, strict=True):
        pixels += [np.abs(face.box_xyxy - other.bbox).max(), np.abs(face.points5 - other.kps).max()]
        peer.embedder.get(frame, other)
        cosines.append(float(identity.embedding @ other.normed_embedding))
        latent = np.dot(other.normed_embedding.reshape((1, -1)), peer.swapper.emap)  # as in INSwapper.get
        own = swapper.latent(Identity(embedding=other.normed_embedding))
        latents.append(np.abs(own - latent[0] / np.linalg.norm(latent)).max())
        if is_inside(face, frame):
            crop = cut_crop(frame, align(face.points5, ARCFACE_128, swapper.side), swapper.side)
            new = swapper.swap(crop[None], [swapper.latent(identities[0])])[0]
            reference, _ = peer.swapper.get(frame, other, theirs[0], paste_back=False)
            levels.append(int(np.abs(new.astype(int) - reference).max()))
    return Differences(
        faces=len(ours),
        pixels=float(max(pixels)),
        score=float(max(abs(face.score - other.det_score) for face, other in zip(ours, theirs, strict=True))),
        cosine=min(cosines),
        latent=float(max(latents)),
        levels=max(levels),
    )


def times_ms(peer: Peer, store: str | Path, runs: int) -> tuple[float, float]:
    """Return the median time of both from a 1080p frame to the frame with its one face swapped."""
    frame = np.zeros((1080, 1920, 3), np.uint8)
    frame[:, 420:1500] = cv2.resize(astronaut(), (1080, 1080))
    with morphstream.open(store, swap_model=SWAP_MODEL, look=Look(occluder=None), threads=THREADS) as swap:
        identity = swap.identify(frame)
        source = peer.face(bbox=np.zeros(4), kps=np.zeros((5, 2)), embedding=identity.embedding)

        def theirs() -> None:
            boxes, points = peer.detector.detect(frame)
            for box, kps in zip(boxes, points, strict=True):
                peer.swapper.get(frame, peer.face(bbox=box[:4], kps=kps, det_score=box[4]), source)

        times: dict[str, list[float]] = {"theirs": [], "ours": []}
        for _ in range(runs):  # in turns, because a machine's speed varies
            times["theirs"].append(median_ms(theirs, 1, before=1))
            times["ours"].append(median_ms(lambda: swap(frame, identity), 1, before=1))
        return median(times["theirs"]), median(times["ours"])


def is_inside(face: Face, frame: Frame) -> bool:
    """Return whether a face's crop lies in the frame."""
    inverse = np.asarray(cv2.invertAffineTransform(align(face.points5, ARCFACE_128, 1)))
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) @ inverse[:, :2].T + inverse[:, 2]
    return bool((corners > 1).all() and (corners < np.array(frame.shape[1::-1]) - 2).all())


if __name__ == "__main__":
    sys.exit(main())
