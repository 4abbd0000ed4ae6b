"""Clips of moving faces, made by code from the astronaut and the group photo, with known points of every face.

Conventions: a clip has 25 frames a second; places and lengths are fractions of the frame's height, measured from its
middle, so that a clip is the same at any size; a turn is in degrees, clockwise as seen. `python -m bench.clips FOLDER`
writes every clip as a video with a sine tone.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
import numpy.typing as npt

from morphstream.face.geometry import moved, transform, turned
from morphstream.face.types import Affine, Points
from morphstream.frame import Frame, Timed
from stages.photos import astronaut, solvay
from stages.workspace import Workspace

RATE = Fraction(25)
SOUND_RATE = 48_000
_SUBFRAMES = 8  # that a frame with motion blur is the mean of
_HEAD = (2.1, 2.9)  # half axes of a head's ellipse, in distances of the eyes

# The first is the astronaut, the others are of the group photo: the mean of the detector's points in 40 views of each.
PEOPLE: tuple[Points, ...] = tuple(
    np.array(points).reshape(5, 2)
    for points in (
        [204.09, 100.47, 246.89, 102.64, 223.83, 128.36, 201.46, 138.8, 245.91, 140.72],
        [1214.07, 1196.59, 1256.76, 1192.58, 1237.52, 1220.77, 1222.14, 1249.19, 1257.11, 1245.93],
        [2298.09, 1099.05, 2338.04, 1100.44, 2318.0, 1122.4, 2301.03, 1138.91, 2333.41, 1139.99],
    )
)


class Pose(NamedTuple):
    """Where somebody is: the middle of the eyes, their distance, the turn; with the whole photo, or the head alone."""

    person: int
    x: float = 0.0
    y: float = 0.0
    eyes: float = 0.1
    turn: float = 0.0
    is_photo: bool = False


class Truth(NamedTuple):
    """A face of a frame: who it is, where its points are, in pixels, and whether another head is before it."""

    person: int
    points5: Points
    is_hidden: bool

    @property
    def eyes(self) -> float:
        """Distance of the eyes, pixels."""
        return float(np.hypot(*(self.points5[1] - self.points5[0])))


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A clip that is drawn frame by frame.

    Attributes:
        count: Frames.
        poses: Who is where at a time in frames, from the back to the front.
        shutter: Part of a frame's time that it is exposed.
        blur: Standard deviation of a lens out of focus, at a time.
        board: The left edge of a board before the first face, in widths of that face (1.9 eye distances) from its left
            edge; it covers 0.3 of them.
        noise: Standard deviation of the camera's noise, in levels.
        scenes: Frames at which another scene begins.
        size_wh: Of the frames.
    """

    count: int
    poses: Callable[[float], Sequence[Pose]]
    shutter: float = 0.0
    blur: Callable[[float], float] | None = None
    board: Callable[[float], float] | None = None
    noise: float = 2.0
    scenes: Sequence[int] = ()
    size_wh: tuple[int, int] = (1280, 720)

    def truth(self, index: int) -> list[Truth]:
        """Return the faces of a frame, from the back to the front."""
        poses = self.poses(index)
        places = [transform(PEOPLE[pose.person], self._affine(pose)) for pose in poses]
        found = []
        for order, (pose, points) in enumerate(zip(poses, places, strict=True)):
            nose = points[2]
            before = zip(poses[order + 1 :], places[order + 1 :], strict=True)
            is_hidden = any(
                np.hypot(*((nose - other[2]) / _HEAD)) < front.eyes * self.size_wh[1] * 1.25 for front, other in before
            )
            found.append(Truth(pose.person, points, is_hidden))
        return found

    def frame(self, index: int) -> Frame:
        """Draw a frame; the same bytes whenever it is drawn."""
        times = index + self.shutter * (np.arange(_SUBFRAMES) / (_SUBFRAMES - 1) - 0.5) if self.shutter else [index]
        total = np.zeros((*self.size_wh[::-1], 3), np.float32)
        for time in times:
            cv2.accumulate(self._drawn(float(time)), total)
        drawn = total / len(times)
        if self.blur and (sigma := self.blur(index) * self.size_wh[1]) > 0.3:
            drawn = np.asarray(cv2.GaussianBlur(drawn, (0, 0), sigma), np.float32)
        if self.noise:
            grain = np.roll(_grain(), np.random.default_rng(index).integers(0, 256, 2), (0, 1))
            width, height = self.size_wh
            drawn += self.noise * np.tile(grain, (height // 256 + 1, width // 256 + 1, 1))[:height, :width]
        return np.clip(np.rint(drawn), 0, 255).astype(np.uint8)

    def frames(self) -> Iterator[Timed[Frame]]:
        """Draw the frames, in order."""
        for index in range(self.count):
            yield Timed(value=self.frame(index), index=index, time=index / RATE)

    def _affine(self, pose: Pose) -> Affine:
        """Return what maps a person's photo to the frame."""
        left, right = PEOPLE[pose.person][:2]
        height, middle = self.size_wh[1], (left + right) / 2
        place = [(size - 1) / 2 + at * height for size, at in zip(self.size_wh, pose[1:3], strict=True)]
        return turned(pose.turn, pose.eyes * height / float(np.hypot(*(right - left))), middle, place)

    def _drawn(self, time: float) -> Frame:
        poses, scenery = self.poses(time), _scenery(sum(start <= round(time) for start in self.scenes))
        canvas = np.asarray(cv2.resize(scenery, self.size_wh, interpolation=cv2.INTER_CUBIC), np.uint8)
        for pose in poses:
            layer, left, top = _layer(pose.person, is_photo=pose.is_photo)
            _put(canvas, layer, moved(self._affine(pose), left, top))
        if self.board and poses:
            points = transform(PEOPLE[poses[0].person], self._affine(poses[0]))
            width = 1.9 * poses[0].eyes * self.size_wh[1]
            left = points[:2].mean(0)[0] + (self.board(time) - 0.5) * width
            first, last = np.clip(np.rint([left, left + 0.3 * width]).astype(int), 0, self.size_wh[0])
            canvas[:, first:last] = cv2.resize(_scenery(9), self.size_wh)[:, : last - first]
        return canvas


def clip(name: str, size_wh: tuple[int, int] = (1280, 720), count: int | None = None) -> Clip:
    """Return a clip of `CLIPS` in another size, and its first frames alone."""
    whole = CLIPS[name]
    return replace(whole, size_wh=size_wh, count=min(whole.count, count or whole.count))


def write_clip(
    made: Clip, path: Path, *, encoder: str = "libx264", pixel_format: str = "yuv420p", rate: Fraction = RATE
) -> None:
    """Write a clip as a video with a sine tone of 440 Hz, of so many frames a second; its suffix says the container."""
    tone = "libopus" if path.suffix == ".webm" else "aac"
    with av.open(str(path), "w") as container:
        video, sound = container.add_stream(encoder, rate=rate), container.add_stream(tone, rate=SOUND_RATE)
        assert isinstance(video, av.VideoStream) and isinstance(sound, av.AudioStream)  # noqa: PT018  # of one line
        video.width, video.height, video.pix_fmt = *made.size_wh, pixel_format
        video.options = {"crf": "18", "preset": "veryfast"} if encoder in ("libx264", "libx265") else {}
        sound.layout = "mono"
        for timed in made.frames():
            picture = av.VideoFrame.from_ndarray(timed.value, format="bgr24")
            picture.pts, picture.time_base = timed.index, 1 / rate
            container.mux(video.encode(picture))
            container.mux(sound.encode(_tone(timed.index, rate)))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))


def _tone(index: int, rate: Fraction) -> av.AudioFrame:
    """Return the sound of one frame."""
    start = index * (count := int(SOUND_RATE / rate))
    wave = 0.2 * np.sin(2 * math.pi * 440 * np.arange(start, start + count) / SOUND_RATE)
    frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, start, Fraction(1, SOUND_RATE)
    return frame


@cache
def _photo(*, is_astronaut: bool) -> Frame:
    return astronaut() if is_astronaut else solvay(Workspace(Path(__file__).parents[1]).downloads)


@cache
def _layer(person: int, *, is_photo: bool) -> tuple[Frame, int, int]:
    """Return a person's photo, or the head out of it, and where that begins; its fourth channel is alpha times 255."""
    photo, points = _photo(is_astronaut=person == 0), PEOPLE[person]
    alpha = np.zeros(photo.shape[:2], np.uint8)
    left, top, right, bottom = 0, 0, photo.shape[1], photo.shape[0]
    if is_photo:
        alpha[4:-4, 4:-4] = 255
    else:
        middle, half = points[2], np.array(_HEAD) * np.hypot(*(points[1] - points[0]))
        cv2.ellipse(alpha, (middle.tolist(), (2 * half).tolist(), 0), 255, -1)
        left, top = np.maximum(middle - half - 8, 0).astype(int).tolist()
        right, bottom = (middle + half + 8).astype(int).tolist()
    here = np.s_[top:bottom, left:right]
    layer = np.dstack([photo[here], cv2.GaussianBlur(alpha[here], (0, 0), 2)])
    return np.asarray(cv2.cvtColor(layer, cv2.COLOR_RGBA2mRGBA), np.uint8), left, top


def _put(canvas: Frame, layer: Frame, affine: Affine) -> None:
    """Draw a layer over a frame, in place, in the rectangle that it reaches."""
    height, width = layer.shape[:2]
    ends = transform(np.array([[x, y] for x in (0, width) for y in (0, height)]), affine)
    left, top = np.clip(np.floor(ends.min(0)), 0, canvas.shape[1::-1]).astype(int)
    right, bottom = np.clip(np.ceil(ends.max(0)) + 1, 0, canvas.shape[1::-1]).astype(int)
    if left >= right or top >= bottom:
        return
    scale = float(np.hypot(*affine[:, 0]))
    if scale < 0.7:  # so that no line of pixels is left out
        layer = np.asarray(cv2.GaussianBlur(layer, (0, 0), 0.4 / scale), np.uint8)
    size, how = (int(right - left), int(bottom - top)), cv2.INTER_LINEAR if scale < 1 else cv2.INTER_CUBIC
    here = affine - np.array([[0, 0, left], [0, 0, top]])
    over = np.asarray(cv2.warpAffine(layer, here, size, flags=how), np.float32)
    under = canvas[top:bottom, left:right]
    under[:] = np.clip(np.rint(under * (1 - over[..., 3:] / 255) + over[..., :3]), 0, 255)


@cache
def _scenery(scene: int) -> Frame:
    """Return a background of coarse and fine spots, (360, 640, 3)."""
    random = np.random.default_rng(100 + scene)
    total = np.full((360, 640, 3), random.uniform(60, 190, 3), np.float32)
    for columns, levels in ((8, 30), (32, 16), (128, 8)):
        spots = random.normal(0, levels, (columns * 9 // 16, columns, 3)).astype(np.float32)
        total += cv2.resize(spots, (640, 360), interpolation=cv2.INTER_CUBIC)
    return np.clip(total, 0, 255).astype(np.uint8)


@cache
def _grain() -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 1, (256, 256, 3)).astype(np.float32)


def _wave(time: float, period: float) -> float:
    return math.sin(2 * math.pi * time / period)


def _crossing(time: float) -> list[Pose]:
    """Three people: the outer ones change sides before and behind the third, and change back."""
    side = math.cos(2 * math.pi * time / 300)
    front, back = Pose(0, -0.6 * side, 0.03 * _wave(time, 90)), Pose(1, 0.6 * side, -0.02, 0.09)
    return [back, Pose(2, 0.03 * _wave(time, 70), 0.01, 0.09), front]


def _scenes(time: float) -> list[Pose]:
    """Four scenes of 15 frames: another person in the same place, nobody, and the first again, elsewhere."""
    shots: tuple[list[Pose], ...] = ([Pose(0, turn=5)], [Pose(1, 0.01, 0.01)], [], [Pose(0, 0.3, 0.1), Pose(2, -0.4)])
    return list(shots[min(int(round(time) // 15), 3)])


def _mixed(time: float) -> list[Pose]:
    where = (0.15 * _wave(time, 97), -0.15 + 0.05 * _wave(time, 71), 0.09 + 0.02 * _wave(time, 113))
    return [Pose(0, *where, 15 * _wave(time, 131), is_photo=True)]


CLIPS = {
    "still": Clip(count=60, poses=lambda _: [Pose(0, 0.013, -0.1, is_photo=True)]),
    "pan": Clip(count=90, poses=lambda t: [Pose(0, 0.3 * _wave(t, 90), -0.1, 0.08, is_photo=True)]),
    "zoom": Clip(count=90, poses=lambda t: [Pose(0, 0, -0.1, 0.09 * 2 ** _wave(t, 90), is_photo=True)]),
    "roll": Clip(count=60, poses=lambda t: [Pose(0, 0, -0.1, 0.09, 45 * _wave(t, 60), is_photo=True)]),
    "blur": Clip(
        count=90,
        poses=lambda t: [Pose(0, 0.4 * _wave(t, 60), -0.1, 0.08, 8 * _wave(t, 45), is_photo=True)],
        shutter=0.5,
        blur=lambda t: 0.002 * (1 - math.cos(2 * math.pi * t / 90)),
    ),
    "board": Clip(
        count=90,
        poses=lambda t: [Pose(0, 0.1 * _wave(t, 60), -0.1, is_photo=True)],
        board=lambda t: -0.6 + 1.9 * t / 90,
    ),
    "cross": Clip(count=300, poses=_crossing),
    "scenes": Clip(count=60, poses=_scenes, scenes=(15, 30, 45)),
    "comes": Clip(count=148, poses=lambda t: [Pose(0, -0.3), Pose(2, 0.4, 0.1, 0.04)][: 1 + (t % 37 >= 16)]),
    "group": Clip(count=100, poses=lambda t: [Pose(2, 0.6 - t / 200, -0.05, 0.035 + t / 5000, is_photo=True)]),
    "mixed": Clip(count=150, poses=_mixed),
}


def main() -> int:
    """Write every clip; return 0."""
    parser = argparse.ArgumentParser(prog="python -m bench.clips", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in CLIPS.items():
        write_clip(made, folder / f"{name}.mp4")
    return 0


if __name__ == "__main__":
    sys.exit(main())
