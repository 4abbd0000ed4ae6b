"""Follow the faces of a video or a stream: find them, keep their tracks, and assign who each of these becomes."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import combinations

import numpy as np

from morphstream.face.assign import Wanted, assign, everyone, hold, rules_of
from morphstream.face.finder import Finder
from morphstream.face.flow import affine_of, cut_patch, follow_patch
from morphstream.face.geometry import Rectangle
from morphstream.face.hidden import exits, is_clear, missing_near, most_like
from morphstream.face.look import DEFAULT_LOOK, Look
from morphstream.face.saved import state_from_json, state_to_json
from morphstream.face.scene import changed, glimpse_of, is_cut
from morphstream.face.track import (
    CLEAR,
    DEFAULT_TRACKING,
    ONE,
    State,
    Track,
    Tracking,
    begun,
    carried,
    checked,
    coasting,
    match,
    moved_on,
    recognised,
    settled,
)
from morphstream.face.types import Face, FoundFaces
from morphstream.frame import Frame, check_frame

_FINE = 3  # looks around the whole frame, of which one is on the detector's largest canvas
_STILL, _BUSY, _NEW = 1 / 24, 1 / 8, 4.0  # of such a look, a frame: where nothing is new, at most, for what is new
_ASLEEP_S, _GAP_S, _MOST_ASLEEP = 10.0, 1.0, 8
_MANY = 4  # faces that are looked at one by one; more are all looked at together
_LESS = 0.6  # of the minimum score, for a face that is followed already
_SURE = 0.5  # share of the places that flow follows, of a face that the detector doesn't see
_COVERED_ONE = 0.6  # cosine of two embeddings of one person, of a face that may be partly covered
_YOUNG, _AGAIN = 3, 8  # looks at a face until it is known; and from one time that it is embedded to the next
_DUE, _SOON = 1 - 1e-9, 0.7  # doubt


class FaceTracker:
    """Finds faces of one stream's frames, gives each a track, and assigns who its track becomes; for one thread.

    A track's points go on from frame to frame by optical flow. The detector looks at faces one by one where they are
    expected, and around the whole frame for new ones, both as often as it takes. A face that went behind another, or
    out of the frame, is recognised when it comes back within a scene; a scene's end ends all its tracks.
    """

    def __init__(
        self,
        analyser: Finder,
        wanted: Wanted,
        *,
        look: Look = DEFAULT_LOOK,
        tracking: Tracking = DEFAULT_TRACKING,
        by_identity: bool = False,
    ) -> None:
        """Begin before the first frame.

        Args:
            analyser: Finds and embeds faces; other trackers may share it.
            wanted: Who becomes whom, as in `assign`; rules by place and size are decided when a track begins.
            look: How faces are looked for, but for its angles: a frame is looked at once, as the next one comes.
            tracking: How often, and how smooth.
            by_identity: Whether tracks are of one person each, also where no rule asks who that is.

        Raises:
            TypeError: `wanted` has something other than rules and identities.
        """
        self._analyser, self._embed, self._tracking, self._by_identity = analyser, analyser.embed, tracking, by_identity
        self._state, self._undecided, self._looks, self._is_idle = State(), set[int](), 0, False
        assign([], wanted, list)  # which refuses what is no rule, None too
        self.change(wanted=wanted, look=look)

    def change(self, *, wanted: Wanted | None = None, look: Look | None = None) -> None:
        """Change who becomes whom, or how faces are looked for, from the next frame on; tracks stay.

        Args:
            wanted: As of a new tracker; a rule by place or size that was there keeps its track. None for who it was.
            look: As of a new tracker; None for what it was.

        Raises:
            TypeError: `wanted` has something other than rules and identities; nothing is changed.
        """
        if wanted is not None:
            assign([], wanted, list)
            rules = rules_of(wanted)
            self._wanted, self._undecided = wanted, {track.number for track in self._state.tracks}
            self._state.held = {rule: number for rule, number in self._state.held.items() if rule in rules}
            self._is_embedded = self._by_identity or any(rule is not everyone for rule in rules)
        if look is not None:
            self._look, least = replace(look, angles=()), max(0.05, _LESS * look.min_score)
            self._around, self._near = replace(self._look, landmarker=None), replace(self._look, min_score=least)
            self._state.doubt = 1.0
            self._state.tracks = [replace(track, doubt=1.0) for track in self._state.tracks]

    def follow(self, frame: Frame, time: float | Fraction, *, is_idle: bool = False) -> FoundFaces:
        """Return the next frame with its faces, their tracks and who they become; errors as in `FaceAnalyser.analyse`.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR; kept, not copied.
            time: When it is shown, seconds; later than the frame before.
            is_idle: Whether there is time to spare: a look around the whole frame is then on the largest canvas.
        """
        if not self._tracking.is_on:
            found = self._analyser.find(frame, self._look)
            assignment = assign(found.faces, self._wanted, partial(self._embed, frame, found.faces))
            return replace(found, assignment=assignment)
        check_frame(frame)
        time_s, self._looks, self._is_idle = float(time), 0, is_idle
        self._glance(frame, time_s)
        state, every = self._state, self._tracking.detect_every
        moved = [moved_on(track, follow_patch(track.patch, frame, track.expected), every) for track in state.tracks]
        state.tracks, state.asleep = moved, [coasting(track) for track in state.asleep]
        if state.doubt > _DUE or (len(moved) > _MANY and np.median([track.doubt for track in moved]) > _DUE):
            self._look_around(frame, time_s)
        elif len(moved) <= _MANY and (within := exits(moved, state.asleep, time_s, (frame.shape[1], frame.shape[0]))):
            self._look_around(frame, time_s, within)
        if self._look_nearer(frame, time_s) and state.doubt:  # a face may have jumped
            self._look_around(frame, time_s)
            self._look_nearer(frame, time_s)
        self._part()
        return self._assigned(frame, time_s)

    def _glance(self, frame: Frame, time_s: float) -> None:
        """End the scene if this frame begins another; and count what nobody has looked at."""
        state, every, now, size = self._state, self._tracking.detect_every, glimpse_of(frame), [*frame.shape[:2]]
        if state.last is not None and (is_cut(state.last, now) or size != state.size):
            self._state = state = State(number=state.number)
        state.last, state.size = now, size
        new = changed(now if state.looked is None else state.looked, now)
        state.doubt += 1 / every if every else min(_BUSY, _STILL + _NEW * new)
        if self._tracking.is_due(time_s - state.looked_s):
            state.doubt = 1.0

    def _look_around(self, frame: Frame, time_s: float, within: Rectangle | None = None) -> None:
        """Look at the whole frame, or a part, for faces without a track; where there are many, for all of them."""
        state = self._state
        if not within:
            is_fine = self._is_idle or not state.looks % _FINE or len(state.tracks) > _MANY
            within = None if is_fine else (0, 0, frame.shape[1], frame.shape[0])
            state.doubt, state.looked, state.looked_s, state.looks = 0.0, state.last, time_s, state.looks + 1
        looked = self._analyser.find(frame, self._around, within=within)
        self._looks += looked.looks
        faces = [face for face in looked.faces if _is_usable(face)]
        matched = match([track.face for track in state.tracks], faces)
        new = [face for place, face in enumerate(faces) if place not in matched.values()]
        if len(faces) > _MANY and not within:
            for place, face in matched.items():
                track = checked(state.tracks[place], faces[face])
                state.tracks[place] = self._confirmed(frame, track, faces[face], time_s)
        others = [track.face for track in state.tracks] + new
        state.tracks += filter(None, [self._begin(frame, face, others, time_s) for face in new])

    def _begin(self, frame: Frame, face: Face, others: Sequence[Face], time_s: float) -> Track | None:
        """Return a new track, or one that ended in this scene and whose face this is.

        None where it matters who somebody is, one is missing, and a face is of nobody known and so near to another that
        it may be covered.
        """
        state, affine = self._state, affine_of(face.points5)
        track = begun(state.number, face, cut_patch(frame, affine), time_s)
        motions = [follow_patch(old.patch, frame, affine) for old in state.asleep]
        share, place = max(((motion.share, place) for place, motion in enumerate(motions) if motion), default=(0.0, 0))
        if share > _SURE and (motion := motions[place]):
            old = state.asleep.pop(place)
            old = replace(old, face=carried(old.face, old.affine, motion.affine), velocity=np.zeros(2), seen_s=time_s)
            return replace(old, affine=motion.affine, share=share, doubt=1.0)
        missing = missing_near(face, state.asleep, time_s)
        can_see = is_clear(face, [*others, *missing[1:]])  # the nearest is the face itself, if it comes back
        if self._is_embedded and state.asleep:
            track = recognised(track, self._embed(frame, [face])[0])
            track = self._reunited(track, ONE if can_see else _COVERED_ONE)
        if track.number == state.number:
            if self._is_embedded and missing and not can_see:
                return None
            state.number += 1
            self._undecided.add(track.number)
        return track

    def _reunited(self, track: Track, least: float) -> Track:
        """Return a track that has just begun as the one that ended in this scene and is of the same person, if any."""
        old = track.identity and most_like(track.identity, self._state.asleep, least)
        if not old:
            return track
        self._state.asleep.remove(old)
        self._undecided.discard(track.number)
        return replace(track, number=old.number, identity=old.identity, likenesses=old.likenesses)

    def _look_nearer(self, frame: Frame, time_s: float) -> bool:
        """Look at each face that is in doubt; return whether one isn't there."""
        state = self._state
        is_few = len(state.tracks) <= _MANY
        due = [track for track in state.tracks if not track.share or (is_few and track.doubt > _DUE)]
        if not due:
            return False
        faces = self._analyser.find_near(frame, [track.face for track in due], self._near)
        self._looks += len(due)
        now = dict[int, Track]()
        for old, face in zip(due, faces, strict=True):
            track = checked(old, face) if face else old
            if face and _is_usable(face) and self._is_of(frame, track, face):
                now[track.number] = self._confirmed(frame, track, face, time_s)
            elif track.share >= self._least_share(track) and time_s - track.seen_s < _GAP_S:
                now[track.number] = replace(track, doubt=_SOON)
        gone = [track for track in due if track.number not in now]
        state.asleep += gone
        state.tracks = [now.get(track.number, track) for track in state.tracks if track not in gone]
        return bool(gone)

    def _is_of(self, frame: Frame, track: Track, face: Face) -> bool:
        """Return whether a face is a track's: flow or the embedder says so, or nobody else is as near."""
        if track.share:
            return True
        if track.identity:
            return self._embed(frame, [face])[0].similarity(track.identity) >= ONE
        return not match(self._others(track), [face])

    def _least_share(self, track: Track) -> float:
        """Return the share that a face needs to go on unseen; near another, flow may have gone over to that one."""
        return _SURE if is_clear(track.face, self._others(track)) else CLEAR

    def _others(self, track: Track) -> list[Face]:
        """Return the faces of the other tracks that flow hasn't lost."""
        return [other.face for other in self._state.tracks if other.share and other.number != track.number]

    def _confirmed(self, frame: Frame, track: Track, face: Face, time_s: float) -> Track:
        """Return a track whose face the detector saw, with a new patch and embedding where it isn't covered."""
        share, is_young = track.share, track.looks < _YOUNG
        track = settled(track, face, time_s, self._tracking.smooth)
        if CLEAR > share > 0 and not is_young:
            return replace(track, share=share)
        affine = affine_of(track.face.points5)
        track = replace(track, affine=affine, patch=cut_patch(frame, affine))
        others = [other.face for other in self._state.tracks if other.number != track.number]
        if self._is_embedded and is_clear(face, others) and (is_young or not track.looks % _AGAIN):
            track = recognised(track, self._embed(frame, [track.face])[0])
            if is_young and self._state.asleep:
                track = replace(self._reunited(track, ONE), doubt=_SOON)
        return track

    def _part(self) -> None:
        """End the lesser of two tracks that are at one face."""
        state = self._state
        for pair in combinations(tuple(state.tracks), 2):
            if all(track in state.tracks for track in pair) and match([pair[0].face], [pair[1].face]):
                lesser = min(pair, key=lambda track: (track.share, track.looks))
                state.tracks.remove(lesser)
                state.asleep.append(lesser)

    def _assigned(self, frame: Frame, time_s: float) -> FoundFaces:
        """Return who the tracks of a frame become."""
        state = self._state
        state.asleep = [track for track in state.asleep if time_s - track.seen_s < _ASLEEP_S][-_MOST_ASLEEP:]
        if unknown := [track for track in state.tracks if self._is_embedded and not track.identity]:
            identities = dict(zip(unknown, self._embed(frame, [track.face for track in unknown]), strict=True))
            state.tracks = [
                recognised(track, identities[track]) if track in identities else track for track in state.tracks
            ]
        faces, numbers = [track.face for track in state.tracks], [track.number for track in state.tracks]
        alive = {*numbers, *(track.number for track in state.asleep)}
        state.held = {rule: number for rule, number in state.held.items() if number in alive}
        if self._undecided:
            state.held = hold(faces, numbers, self._undecided, self._wanted, state.held)
            self._undecided = set()
        held = {rule: numbers.index(number) for rule, number in state.held.items() if number in numbers}
        known = [track.identity for track in state.tracks if track.identity]
        assignment = assign(faces, self._wanted, lambda: known, held=held)
        return FoundFaces(frame=frame, faces=faces, assignment=assignment, looks=self._looks, tracks=numbers)

    def save(self) -> bytes:
        """Return all that the next frames depend on, as JSON; the next frame is looked at as a whole.

        What follows is the same, bit for bit, here and after `restore` in another process.
        """
        self._state.doubt, self._state.looks = 1.0, 0
        return state_to_json(self._state, rules_of(self._wanted))

    def restore(self, data: bytes) -> None:
        """Go on where a tracker with the same arguments was saved.

        Raises:
            ValueError: It is no such state.
        """
        self._state = state_from_json(data, rules_of(self._wanted))


def _is_usable(face: Face) -> bool:
    """Return whether a face has a box, and points that aren't all one."""
    return face.area > 1 and bool(np.ptp(face.points5, axis=0).max() > 1)
