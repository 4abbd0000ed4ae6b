"""Read and write videos by PyAV, which is imported here alone.

Raises:
    VideoError: It isn't installed.
"""

from importlib.util import find_spec

from morphstream.artifact.errors import VideoError

if find_spec("av") is None:
    raise VideoError(
        "videos: expected PyAV, which reads and writes them, seen none; run: pip install 'morphstream[video]'"
    )
