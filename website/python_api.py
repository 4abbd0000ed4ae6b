"""The reference of the package `morphstream`: its public names, and what they return, for mkdocstrings to fill in."""

from collections.abc import Iterator
from itertools import groupby

import morphstream

_PAGES = {
    "boot": ("boot, stores, models on demand", ("boot", "BootReport", "ModelDownloadService", "Store")),
    "swap": (
        "pictures, videos and streams",
        ("open", "SwapPipeline", "Frame", "Identity", "everyone", "largest", "at", "like", "Look", "Tracking"),
    ),
    "worker": ("workers of streams", ("SwapWorker",)),
    "models": (
        "the models, one by one",
        (
            *("open_session", "Session", "load_emap", "DirectSCRFD", "DirectArcFace", "DirectFan685"),
            *("Landmark68Detector", "Swapper", "Occluder", "Parser", "PersonDetector", "Restorer"),
            *("FaceAnalyser", "FaceSwapper", "FaceTracker", "Face", "FoundFaces", "Person"),
        ),
    ),
    "errors": ("errors", ("MorphstreamError",)),
}
_FURTHER = {
    "swap": ("morphstream.stream.run.run",),
    "worker": ("morphstream.worker.stream.SwapStream", "morphstream.worker.stats.StreamStats"),
    "errors": ("morphstream.artifact.errors",),
}


def python_pages() -> Iterator[tuple[str, str]]:
    """Yield the name and the Markdown of each page, with a line for each name.

    Raises:
        ValueError: A public name is on no page, or one that is on a page isn't public.
    """
    named = {name for _, names in _PAGES.values() for name in names}
    if differing := named.symmetric_difference(morphstream.__all__):
        raise ValueError(f"reference: expected the names of morphstream.__all__, seen {differing} in one of both")
    for page, (title, names) in _PAGES.items():
        parts = [f"# Python: {title}\n"]
        for path, called in groupby(names, _path_of):
            parts.append(f"`{'`, `'.join(f'morphstream.{name}' for name in called)}`\n\n::: {path}\n")
        parts += [f"::: {path}\n" for path in _FURTHER.get(page, ())]
        yield f"reference/python-{page}.md", "\n".join(parts)


def _path_of(name: str) -> str:
    """Return where a public name is defined; for a value, where its class is."""
    if name == "Frame":
        return "morphstream.frame.Frame"  # an alias of NumPy's
    value = getattr(morphstream, name)
    defined = value if hasattr(value, "__qualname__") else type(value)
    return f"{defined.__module__}.{defined.__qualname__}"
