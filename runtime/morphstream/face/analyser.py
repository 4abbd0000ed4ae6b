"""Find the faces of frames, identify them, and assign who they become."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from morphstream.artifact.errors import NoFaceError
from morphstream.face.assign import Wanted, assign
from morphstream.face.detect import DirectSCRFD
from morphstream.face.embed import DirectArcFace
from morphstream.face.geometry import Rectangle
from morphstream.face.landmark import DirectFan685, Landmark68Detector
from morphstream.face.look import DEFAULT_LOOK, PERSON_DETECTOR, Look
from morphstream.face.person import PersonDetector
from morphstream.face.search import find_faces, find_near
from morphstream.face.types import Face, FoundFaces, Identity
from morphstream.frame import Frame, check_frame
from morphstream.session.session import Session
from morphstream.turns import Turns

DETECTOR, EMBEDDER = "det_10g", "w600k_r50"


class FaceAnalyser:
    """Detector, landmarkers and embedder; any thread may call it, and one runs at a time."""

    def __init__(self, open_model: Callable[[str], Session]) -> None:
        """Open the detector; the embedder is opened when it is first needed, as are the models of a look.

        Args:
            open_model: Returns a model by name, opened once; the caller closes them.

        Raises:
            NoEngineError: The store lacks a model.
            SessionError: A model can't be opened.
        """
        self._open, self._turns = open_model, Turns("analyser")
        self._detector = DirectSCRFD(open_model(DETECTOR))

    def close(self) -> None:
        """Refuse further calls, once the present one has ended."""
        self._turns.close()

    def find(self, frame: Frame, look: Look = DEFAULT_LOOK, *, within: Rectangle | None = None) -> FoundFaces:
        """Return the faces of a frame, by falling score, and how often the detector looked; nobody is assigned yet.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR; kept, not copied.
            look: Says how faces are looked for; its models are opened if they aren't yet.
            within: A rectangle of the frame, to look once about there, on the detector's smallest canvas; that of the
                whole frame is for large faces alone. None for a search.

        Raises:
            TypeError: The frame isn't uint8.
            ValueError: It isn't ``(H, W, 3)``.
            NoEngineError: The store lacks a model of the look.
            SessionError: An engine failed.
        """
        with self._turns:
            has_persons = look.search and not within
            persons = PersonDetector(self._open(PERSON_DETECTOR)).detect if has_persons else None
            finding = find_faces(self._detector, frame, look, persons=persons, within=within)
            reason = "" if finding.faces else finding.reason(frame, look)
            faces = self._refined(frame, finding.faces, look)
        return FoundFaces(frame=frame, faces=faces, assignment={}, looks=finding.looks, reason=reason)

    def find_near(self, frame: Frame, faces: Sequence[Face], look: Look = DEFAULT_LOOK) -> list[Face | None]:
        """Return faces again that are about where they were, each upright and near at the look, or None.

        Their points are steadier than those of `find`, as every face is seen in the same size and the same way round.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            faces: Where they are about.
            look: As in `find`.
        """
        with self._turns:
            found = find_near(self._detector, frame, faces, look.min_score)
            refined = iter(self._refined(frame, [face for face in found if face], look))
            return [face and next(refined) for face in found]

    def _refined(self, frame: Frame, faces: Sequence[Face], look: Look) -> Sequence[Face]:
        """Return faces with the points of the look's landmarker, where it has one."""
        if not look.landmarker or not faces:
            return faces
        fan = DirectFan685(self._open("fan_68_5"))
        if look.landmarker == "fan_68_5":
            return fan.refine(faces)
        return Landmark68Detector(self._open("2dfan4"), fan).refine(frame, faces)

    def detect(self, frame: Frame, look: Look = DEFAULT_LOOK) -> list[Face]:
        """Return the faces of a frame, by falling score; arguments and errors as in `find`."""
        return list(self.find(frame, look).faces)

    def embed(self, frame: Frame, faces: Sequence[Face]) -> list[Identity]:
        """Return the identities of faces, in their order; arguments and errors as in `DirectArcFace.embed`."""
        with self._turns:
            return DirectArcFace(self._open(EMBEDDER)).embed(frame, faces)

    def identify(self, frame: Frame, face: Face | None = None, look: Look = DEFAULT_LOOK) -> Identity:
        """Return the identity of a face; errors also as in `find` and `embed`.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR.
            face: One of its faces; None for the largest.
            look: As in `find`.

        Raises:
            NoFaceError: The frame has none.
        """
        check_frame(frame)
        if face is None:
            found = self.find(frame, look)
            if not found.faces:
                raise NoFaceError(f"expected a face to identify, {found.reason}")
            face = max(found.faces, key=lambda face: face.area)
        return self.embed(frame, [face])[0]

    def analyse(
        self, frame: Frame, wanted: Wanted, *, faces: Sequence[Face] | None = None, look: Look = DEFAULT_LOOK
    ) -> FoundFaces:
        """Return a frame with its faces and who they become; errors also as in `find` and `embed`.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR; kept, not copied.
            wanted: Who becomes whom, as in `assign`.
            faces: The frame's faces; None to detect them.
            look: As in `find`.

        Raises:
            TypeError: `wanted` has something other than rules and identities.
        """
        found = FoundFaces(frame=frame, faces=faces, assignment={}) if faces is not None else self.find(frame, look)
        return replace(found, assignment=assign(found.faces, wanted, partial(self.embed, frame, found.faces)))
