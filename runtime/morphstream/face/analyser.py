"""Find the faces of frames, identify them, and assign who they become."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from threading import Lock

from morphstream.artifact.errors import NoFaceError
from morphstream.face.assign import Wanted, assign
from morphstream.face.detect import DirectSCRFD
from morphstream.face.embed import DirectArcFace
from morphstream.face.landmark import DirectFan685, Landmark68Detector
from morphstream.face.look import Look
from morphstream.face.types import Face, FoundFaces, Identity
from morphstream.frame import Frame, check_frame
from morphstream.session.session import Session

DETECTOR, EMBEDDER = "det_10g", "w600k_r50"


class FaceAnalyser:
    """Detector, landmarkers and embedder; any thread may call it, and one runs at a time."""

    def __init__(
        self, open_model: Callable[[str], Session], *, look: Look | None = None, threshold: float = 0.5
    ) -> None:
        """Open the detector, the embedder and the landmarkers of a look.

        Args:
            open_model: Opens a model by name; called once for each model; the caller closes them.
            look: Used where a call has none; None for `Look`'s defaults.
            threshold: Minimum score of a face, 0..1.

        Raises:
            NoEngineError: The store lacks a model.
            SessionError: A model can't be opened.
        """
        self._open, self._look, self._lock = cache(open_model), look or Look(), Lock()
        self._detector = DirectSCRFD(self._open(DETECTOR), threshold=threshold)
        self._embedder = DirectArcFace(self._open(EMBEDDER))
        for name in self._look.finding_models:
            self._open(name)

    def detect(self, frame: Frame, look: Look | None = None) -> list[Face]:
        """Return the faces of a frame, by falling score.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            look: Its landmarker is opened if it isn't yet; None for the one of the constructor.

        Raises:
            TypeError: The frame isn't uint8.
            ValueError: It isn't ``(H, W, 3)``.
            NoEngineError: The store lacks a landmarker.
            SessionError: An engine failed.
        """
        with self._lock:
            faces, landmarker = self._detector.detect(frame), (look or self._look).landmarker
            if landmarker is None:
                return faces
            fan = DirectFan685(self._open("fan_68_5"))
            return (
                Landmark68Detector(self._open("2dfan4"), fan).refine(frame, faces)
                if landmarker == "2dfan4"
                else fan.refine(faces)
            )

    def embed(self, frame: Frame, faces: Sequence[Face]) -> list[Identity]:
        """Return the identities of faces, in their order.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            faces: Of that frame.

        Raises:
            TypeError: The frame isn't uint8.
            ValueError: It isn't ``(H, W, 3)``, or a face's points are all one point.
            SessionError: The engine failed, or returned zeros.
        """
        with self._lock:
            return self._embedder.embed(frame, faces)

    def identify(self, frame: Frame, face: Face | None = None) -> Identity:
        """Return the identity of a face.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            face: One of its faces; None for the largest.

        Raises:
            NoFaceError: The frame has none.
            TypeError: As in `detect`.
            ValueError: As in `embed`.
            NoEngineError: As in `detect`.
            SessionError: As in `embed`.
        """
        check_frame(frame)
        faces = [face] if face else self.detect(frame)
        if not faces:
            raise NoFaceError("expected a face to identify, seen none; use a picture with a larger one, from the front")
        return self.embed(frame, [max(faces, key=lambda found: found.area)])[0]

    def analyse(
        self, frame: Frame, wanted: Wanted, *, faces: Sequence[Face] | None = None, look: Look | None = None
    ) -> FoundFaces:
        """Return a frame with its faces and who they become: the step before `FaceSwapper.swap`.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR; kept, not copied.
            wanted: Who becomes whom, as in `assign`.
            faces: The frame's faces; None to detect them.
            look: As in `detect`.

        Raises:
            TypeError: The frame isn't uint8, or the assignment has something other than rules and identities.
            ValueError: As in `embed`.
            NoEngineError: As in `detect`.
            SessionError: As in `embed`.
        """
        faces = self.detect(frame, look) if faces is None else faces
        return FoundFaces(frame=frame, faces=faces, assignment=assign(faces, wanted, partial(self.embed, frame, faces)))
