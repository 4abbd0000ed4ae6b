"""Open the engines of a store, and build the `FaceAnalyser` and the `FaceSwapper` that run them."""

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from morphstream.artifact.digest import digest_of
from morphstream.artifact.vocabulary import SWAP_MODEL
from morphstream.closing import Closing
from morphstream.face.analyser import DETECTOR, EMBEDDER, FaceAnalyser
from morphstream.face.assign import Wanted
from morphstream.face.follow import FaceTracker
from morphstream.face.look import DEFAULT_LOOK, Look
from morphstream.face.mask import SteadyMasks
from morphstream.face.swap import Swapper
from morphstream.face.swapper import FaceSwapper
from morphstream.face.track import DEFAULT_TRACKING, Tracking
from morphstream.face.types import Face, FoundFaces, Identity
from morphstream.frame import Frame, Time, Timed, numbered
from morphstream.machine.probe import Machine, probe_machine
from morphstream.session.load import Engines, load_emap, usable_cores
from morphstream.session.session import Session
from morphstream.store.store import Installed, Store
from morphstream.stream.run import IterableSource, Late, flow
from morphstream.turns import Turns

if TYPE_CHECKING:
    from morphstream.media.video.report import Progress, VideoReport
    from morphstream.media.video.swap_video import VideoOptions

_Stream = Generator[Timed[tuple[Frame, Time]], None, None]


class SwapPipeline(Closing):
    """Finds and swaps faces with the engines of a store, whose files stay until it is closed; a context manager.

    Any thread of the process that opened it may call it. Finding faces and swapping them have an engine each, so that
    two threads can be at two frames: `steps` returns a function for each. After it is closed, and in a forked process,
    every call raises UseError.

    Attributes:
        swap_model: Name of the swap model.
        look: Used where a call has none.
        analyser: Finds faces.
        swapper: Swaps them.
    """

    def __init__(
        self,
        store: Store | str | Path,
        *,
        swap_model: str = SWAP_MODEL,
        look: Look | None = None,
        threads: int = 0,
        cuda_graph: bool = False,
        machine: Machine | None = None,
        engines: type[Engines] = Engines,
    ) -> None:
        """Open the engines of a booted store, each warmed up.

        Args:
            store: A store, or its folder.
            swap_model: Such as ``hyperswap_1a_256``.
            look: Used where a call has none, and its models opened now; None for `Look`'s defaults.
            threads: Threads to run on; 0 for every core that this process may use.
            cuda_graph: Whether a GPU replays runs as CUDA graphs; a CPU has none.
            machine: What to run on; None for this one.
            engines: What opens engines, such as a class that times them.

        Raises:
            NoEngineError: The store is empty or damaged, is for another machine, or lacks a model.
            SessionError: An engine can't be opened, or the model doesn't swap.
            OSError: The store's volume has no locks.
        """
        store, threads = store if isinstance(store, Store) else Store(store), threads or usable_cores()
        opening = partial(engines, store, machine or probe_machine(), threads=threads, cuda_graph=cuda_graph)
        self._engines: Callable[[], Engines] = opening
        self._turns, self.swap_model, self.look = Turns("pipeline"), swap_model, look or DEFAULT_LOOK
        with ExitStack() as stack:
            self._own, others = stack.enter_context(opening()), stack.enter_context(opening())
            pool = ThreadPoolExecutor(threads)
            stack.callback(pool.shutdown, cancel_futures=True)
            self._build(others, pool, is_one_by_one=cuda_graph)
            self._stack = stack.pop_all()
        store.usage.touch(swap_model)

    def _build(self, others: Engines, pool: Executor, *, is_one_by_one: bool) -> None:
        """Open the models, one by one for CUDA graphs, whose capture needs the GPU alone, and build both objects."""
        begin: Callable[[Engines, str], Callable[[], Session]]
        begin = partial if is_one_by_one else lambda *call: pool.submit(*call).result
        swap = begin(self._own, self.swap_model)
        names = (DETECTOR, EMBEDDER, *self.look.models)
        begun = {name: begin(others, _name_in(others.installed, name)) for name in names}

        @cache
        def open_model(name: str) -> Session:
            return begun[name]() if name in begun else others(name)

        self._open_model, self.analyser = open_model, FaceAnalyser(open_model)
        swapper = Swapper(swap(), load_emap(self._own.installed, self.swap_model))
        self.swapper = FaceSwapper(open_model, swapper, pool=pool)
        list(map(open_model, names))

    def close(self) -> None:
        """Close every engine, once the calls of other threads have ended; a forked process closes none."""
        if self._turns.close():
            with self._stack:
                self.analyser.close()
                self.swapper.close()
                self._own.close()

    def use(self, swap_model: str) -> None:
        """Switch to another swap model; frames keep the old one until its engine is open, and if it can't be opened.

        The model may be newer than this pipeline, as after a download by `ModelDownloadService`. Other threads may swap
        meanwhile.

        Args:
            swap_model: Such as ``hyperswap_1b_256``.

        Raises:
            NoEngineError: The store lacks it.
            SessionError: Its engine can't be opened, or doesn't swap.
            UseError: The pipeline is closed, or was opened by the process that this one was forked from.
        """
        with self._turns:
            swapper, own = self.open_swapper(swap_model)
            self.swapper.use(swapper)
            before, self._own, self.swap_model = self._own, own, swap_model
            before.close()

    def open_swapper(self, swap_model: str) -> tuple[Swapper, Engines]:
        """Open another swap model for `FaceSwapper.swap`, until its engines are closed; errors as of `use`."""
        with ExitStack() as on_error:
            own = on_error.enter_context(self._engines())
            swapper = Swapper(own(swap_model), load_emap(own.installed, swap_model))
            on_error.pop_all()
        own.store.usage.touch(swap_model)
        return swapper, own

    def open_models(self, look: Look) -> None:
        """Open the models of a look that aren't open yet, so that no frame waits for them; errors as of a call."""
        for name in look.models:
            self._open_model(name)

    def detect(self, frame: Frame, look: Look | None = None) -> list[Face]:
        """Return the faces of a frame, by falling score; arguments and errors as in `FaceAnalyser.find`."""
        return self.analyser.detect(frame, look or self.look)

    def embed(self, frame: Frame, faces: Sequence[Face]) -> list[Identity]:
        """Return the identities of faces, in their order; arguments and errors as in `DirectArcFace.embed`."""
        return self.analyser.embed(frame, faces)

    def identify(self, frame: Frame, face: Face | None = None) -> Identity:
        """Return the identity of a face, None for the largest; errors as in `FaceAnalyser.identify`."""
        return self.analyser.identify(frame, face, self.look)

    def __call__(
        self, frame: Frame, wanted: Wanted, *, faces: Sequence[Face] | None = None, look: Look | None = None
    ) -> Frame:
        """Return a new frame with faces swapped.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            wanted: Who becomes whom: an `Identity` for every face, identities by index of the face, or a rule for each
                identity, such as ``{alice: largest, bob: at("left")}``.
            faces: The frame's faces; None to detect them.
            look: How they are drawn; None for the look of the pipeline.

        Raises:
            TypeError: The frame isn't uint8, or `wanted` has something other than rules and identities.
            ValueError: It isn't ``(H, W, 3)``, a face's points are all one point, or the pixel boost doesn't fit.
            NoEngineError: The store lacks a model of the look.
            SessionError: An engine failed.
        """
        look = look or self.look
        return self.swapper.swap(self.analyser.analyse(frame, wanted, faces=faces, look=look), look)

    swap = __call__

    def steps(
        self, wanted: Wanted, look: Look | None = None
    ) -> tuple[Callable[[Frame], FoundFaces], Callable[[FoundFaces], Frame]]:
        """Return the two steps of a call, for a stream: each may be at another frame in a thread of its own."""
        look = look or self.look
        return partial(self.analyser.analyse, wanted=wanted, look=look), partial(self.swapper.swap, look=look)

    def stream(
        self,
        frames: Iterable[tuple[Frame, Time]],
        wanted: Wanted,
        *,
        look: Look | None = None,
        tracking: Tracking = DEFAULT_TRACKING,
        late: Late = "wait",
    ) -> Generator[tuple[Frame, Time], None, None]:
        """Return frames with their faces swapped, each with its time, in order; faces are followed from frame to frame.

        Frames are read, their faces are found, and they are swapped in a thread each, which run from the first frame
        that is asked for until the iterator ends or is closed.

        Args:
            frames: Each with the time when it is shown, in seconds, later than the one before; times come back as they
                are. A frame is ``(H, W, 3)`` uint8 BGR, isn't modified, and stays as it is until it comes back.
            wanted: Who becomes whom, as in a call; rules by position and size are decided when a track begins.
            look: How they are drawn; None for the look of the pipeline.
            tracking: How faces are followed from frame to frame.
            late: Whether frames wait that come faster than they are swapped, or the oldest is dropped, as for a camera.

        Raises:
            TypeError: `wanted` has something other than rules and identities; or, when its turn comes, what `frames`
                yields is no pair.
            FrameError: A frame was refused.
            Exception: What `frames` raises.
        """
        look, masks = look or self.look, SteadyMasks()
        tracker = FaceTracker(self.analyser, wanted, look=look, tracking=tracking)

        def follow(given: tuple[Frame, Time]) -> tuple[FoundFaces, Time]:
            return tracker.follow(*given), given[1]

        def draw(followed: tuple[FoundFaces, Time]) -> tuple[Frame, Time]:
            return self.swapper.swap(followed[0], look, masks), followed[1]

        return _values(cast("_Stream[Time]", flow(IterableSource(numbered(frames)), (follow, draw), late=late)))

    def video(
        self,
        source: str | Path,
        output: str | Path,
        wanted: Wanted,
        *,
        look: Look | None = None,
        tracking: Tracking = DEFAULT_TRACKING,
        options: "VideoOptions | None" = None,
        progress: "Callable[[Progress], object]" = bool,
    ) -> "VideoReport":
        """Swap the faces of a video, and write it with its sound; errors as of `swap_video`.

        Args:
            source: A video, or numbered pictures.
            output: Where it is written: a .mp4, .mov, .mkv, .webm or .gif.
            wanted: As of `stream`.
            look: As of `stream`.
            tracking: As of `stream`.
            options: How it is read and written; None for the usual.
            progress: Called in this thread after each frame.
        """
        from morphstream.media.video.in_parts import VideoSteps  # PyAV is an extra
        from morphstream.media.video.swap_video import swap_video

        look, masks = look or self.look, SteadyMasks()
        steps = VideoSteps(
            tracker=FaceTracker(self.analyser, wanted, look=look, tracking=tracking),
            swap=partial(self.swapper.swap, look=look, steady=masks),
            clear=masks.clear,
            recipe=self._recipe(wanted, look, tracking),
        )
        return swap_video(steps, Path(source), Path(output), options, progress)

    def _recipe(self, wanted: Wanted, look: Look, tracking: Tracking) -> Mapping[str, str]:
        """Return what decides the frames of a video, in words."""
        return {
            "people": digest_of(repr(wanted).encode()).sha256[:12],
            "engines": self._own.installed.publication.sha256[:12],
            "swap model": self.swap_model,
            "look": json.dumps(asdict(look), default=sorted),  # of regions, whose order is another in each process
            "tracking": str(tracking),
        }


@contextmanager
def open_analyser(store: Path, *, threads: int = 0) -> Iterator[FaceAnalyser]:
    """Open what finds and identifies faces alone, with the engines of a booted store that it needs; as `SwapPipeline`.

    Args:
        store: Its folder.
        threads: Threads to run on; 0 for every core that this process may use.
    """
    with Engines(Store(store), probe_machine(), threads=threads or usable_cores(), cuda_graph=False) as engines:
        yield FaceAnalyser(cache(lambda name: engines(_name_in(engines.installed, name))))


def _name_in(installed: Installed, model: str) -> str:
    """Return by which name a store has a model: detectors and embedders have others, too."""
    role = {DETECTOR: "detector", EMBEDDER: "embedder"}.get(model)
    return installed.model_of(role, model) if role else model


def _values(stream: _Stream[Time]) -> Generator[tuple[Frame, Time], None, None]:
    with closing(stream):
        yield from (frame.value for frame in stream)


open = SwapPipeline  # noqa: A001, as morphstream.open
