"""Live inputs and outputs: cameras, files at their own speed, addresses; windows, files, RTMP, WHIP, virtual cameras.

Conventions, in this folder: an input or output has a thread of its own. Frames that come faster than they are used are
dropped, the oldest first. Times are seconds of the input's timeline, which never jumps. Messages show neither the
password nor the key of an address.

Raises:
    VideoError: PyAV isn't installed, which reads and writes most of them.
"""

from importlib.util import find_spec

from morphstream.artifact.errors import VideoError

if find_spec("av") is None:
    raise VideoError("live: expected PyAV, which reads and writes streams, seen none; install morphstream[live]")
