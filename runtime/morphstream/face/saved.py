"""What a tracker knows between two frames, as JSON, whose arrays come back bit for bit."""

import base64
import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from morphstream.face.track import State, Track
from morphstream.face.types import Face, Identity

_VERSION = 1


def state_to_json(state: State, rules: Sequence[object]) -> bytes:
    """Return a state; a rule is written as its place among all rules."""
    held = [[rules.index(rule), number] for rule, number in state.held.items()]
    data = {field.name: _plain(getattr(state, field.name)) for field in fields(state)} | {"held": held}
    return json.dumps({"version": _VERSION, **data}).encode()


def state_from_json(data: bytes, rules: Sequence[object]) -> State:
    """Read what `state_to_json` returned for the same rules.

    Raises:
        ValueError: It is something else.
    """
    try:
        read = json.loads(data, object_hook=_array)
        known = {_VERSION: State}[read.pop("version")]
        held = {rules[place]: number for place, number in read.pop("held")}
        tracks, asleep = ([_track(track) for track in read.pop(name)] for name in ("tracks", "asleep"))
        return known(held=held, tracks=tracks, asleep=asleep, **read)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(f"expected what a tracker saved, seen a fault: {error!r}; begin without it") from error


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.str, "shape": value.shape, "base64": base64.b64encode(value.tobytes()).decode()}
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _array(data: dict[str, Any]) -> Any:
    if data.keys() != {"dtype", "shape", "base64"}:
        return data
    return np.frombuffer(bytearray(base64.b64decode(str(data["base64"]))), str(data["dtype"])).reshape(data["shape"])


def _track(data: dict[str, Any]) -> Track:
    face, identity = Face(**data.pop("face")), data.pop("identity")
    return Track(face=face, identity=Identity(**identity) if identity else None, **data)
