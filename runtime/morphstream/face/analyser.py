"""Find the faces of frames, identify them, and assign who they become."""

from collections.abc import Callable, Sequence
from functools import partial

from morphstream.artifact.errors import NoFaceError
from morphstream.face.assign import Wanted, assign
from morphstream.face.detect import DirectSCRFD
from morphstream.face.embed import DirectArcFace
from morphstream.face.landmark import DirectFan685, Landmark68Detector
from morphstream.face.look import DEFAULT_LOOK, Look
from morphstream.face.types import Face, FoundFaces, Identity
from morphstream.frame import Frame, check_frame
from morphstream.session.session import Session
from morphstream.turns import Turns

DETECTOR, EMBEDDER = "det_10g", "w600k_r50"


class FaceAnalyser:
    """Detector, landmarkers and embedder; any thread may call it, and one runs at a time."""

    def __init__(self, open_model: Callable[[str], Session], *, threshold: float = 0.5) -> None:
        """Open the detector and the embedder.

        Args:
            open_model: Returns a model by name, opened once; the caller closes them.
            threshold: Minimum score of a face, 0..1.

        Raises:
            NoEngineError: The store lacks a model.
            SessionError: A model can't be opened.
        """
        self._open, self._turns = open_model, Turns("analyser")
        self._detector = DirectSCRFD(open_model(DETECTOR), threshold=threshold)
        self._embedder = DirectArcFace(open_model(EMBEDDER))

    def close(self) -> None:
        """Refuse further calls, once the present one has ended."""
        self._turns.close()

    def detect(self, frame: Frame, look: Look = DEFAULT_LOOK) -> list[Face]:
        """Return the faces of a frame, by falling score.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            look: Its landmarker is used, and opened if it isn't yet.

        Raises:
            TypeError: The frame isn't uint8.
            ValueError: It isn't ``(H, W, 3)``.
            NoEngineError: The store lacks a landmarker.
            SessionError: An engine failed.
        """
        with self._turns:
            faces, landmarker = self._detector.detect(frame), look.landmarker
            if landmarker is None:
                return faces
            fan = DirectFan685(self._open("fan_68_5"))
            if landmarker == "fan_68_5":
                return fan.refine(faces)
            return Landmark68Detector(self._open("2dfan4"), fan).refine(frame, faces)

    def embed(self, frame: Frame, faces: Sequence[Face]) -> list[Identity]:
        """Return the identities of faces, in their order; arguments and errors as in `DirectArcFace.embed`."""
        with self._turns:
            return self._embedder.embed(frame, faces)

    def identify(self, frame: Frame, face: Face | None = None, look: Look = DEFAULT_LOOK) -> Identity:
        """Return the identity of a face; errors also as in `detect` and `embed`.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            face: One of its faces; None for the largest.
            look: As in `detect`.

        Raises:
            NoFaceError: The frame has none.
        """
        check_frame(frame)
        faces = [face] if face else self.detect(frame, look)
        if not faces:
            raise NoFaceError("expected a face to identify, seen none; use a picture with a larger one, from the front")
        return self.embed(frame, [max(faces, key=lambda found: found.area)])[0]

    def analyse(
        self, frame: Frame, wanted: Wanted, *, faces: Sequence[Face] | None = None, look: Look = DEFAULT_LOOK
    ) -> FoundFaces:
        """Return a frame with its faces and who they become; errors also as in `detect` and `embed`.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR; kept, not copied.
            wanted: Who becomes whom, as in `assign`.
            faces: The frame's faces; None to detect them.
            look: As in `detect`.

        Raises:
            TypeError: `wanted` has something other than rules and identities.
        """
        faces = self.detect(frame, look) if faces is None else faces
        return FoundFaces(frame=frame, faces=faces, assignment=assign(faces, wanted, partial(self.embed, frame, faces)))
