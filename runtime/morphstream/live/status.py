"""How a page's stream is, in the words of its status messages; pure."""

from collections.abc import Mapping

from morphstream.live.choices import Choices
from morphstream.worker.models import ModelSwitch
from morphstream.worker.queues import Swapped
from morphstream.worker.stats import StreamStats


def status_of(
    stats: StreamStats,
    last: Swapped | None,
    choices: Choices,
    switch: ModelSwitch | None,
    *,
    state: str,
    error: str,
) -> Mapping[str, object]:
    """Return how a stream is, as JSON has it; times in milliseconds.

    Args:
        stats: Of the stream.
        last: The last frame that came back; None before the first.
        choices: Of the page.
        switch: The last switch of the swap model; None before the first.
        state: Of the stream, in words.
        error: Why it broke; empty where it didn't.
    """
    return {
        "state": state,
        "error": error or None,
        "fps": round(stats.fps, 1),
        "dropped": stats.dropped,
        "waiting": stats.waiting,
        "latency_ms": {"p50": _ms(stats.p50_s), "p95": _ms(stats.p95_s)},
        "find_ms": _ms(stats.find_s),
        "draw_ms": _ms(stats.draw_s),
        "host_ms": _ms(stats.host_s),
        "engine_ms": _ms(stats.inference_s),
        "size": [last.frame.shape[1], last.frame.shape[0]] if last else None,
        "faces": _faces(last, choices) if last else [],
        "swap_model": stats.swap_model,
        "switch": _switch(switch) if switch else None,
    }


def _faces(last: Swapped, choices: Choices) -> list[Mapping[str, object]]:
    """Return where each face is, as parts of the frame's sides, and who it became."""
    found, (height, width) = last.found, last.frame.shape[:2]
    faces = list[Mapping[str, object]]()
    for index, (track, face) in enumerate(zip(found.tracks, found.faces, strict=False)):
        left, top, right, bottom = map(float, face.box_xyxy)
        box = [left / width, top / height, (right - left) / width, (bottom - top) / height]
        rounded = [round(part, 4) for part in box]
        faces.append({"track": track, "box": rounded, "person": choices.person_of(found, index)})
    return faces


def _switch(switch: ModelSwitch) -> Mapping[str, object]:
    return {
        "model": switch.model,
        "state": switch.state,
        "done_bytes": switch.done_bytes,
        "total_bytes": switch.total_bytes,
        "error": switch.error or None,
    }


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)
