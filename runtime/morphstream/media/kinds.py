"""Name what is no picture that can be read, by its first bytes or by its name."""

import re

_KINDS = (  # what a file begins with, and what it is
    (
        rb"....ftyp|\x1a\x45\xdf\xa3|RIFF....AVI |FLV\x01|OggS|\0\0\x01[\xb3\xba]|\x30\x26\xb2\x75|\x47.{187}\x47",
        "a video",
    ),
    (rb"\s*%PDF", "a PDF"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL"),
    (rb"8BPS", "a Photoshop document"),
    (rb"PK\x03\x04", "a ZIP archive"),
    (rb"(\xef\xbb\xbf)?\s*(<\?xml.*)?<svg", "an SVG"),
    (rb"(\xef\xbb\xbf)?\s*<(!doctype html|html)", "a web page"),
    (rb"version https://git-lfs", "a Git LFS pointer, and not what it stands for"),
)
_ADDRESS = re.compile(r"(https?|ftps?|rtsp|rtmp|srt|s3|gs|hf|data|file):", re.IGNORECASE)


def kind_of(data: bytes) -> str | None:
    """Return in words what a file is that is no picture; None if it is nothing that is known."""
    found = (name for begin, name in _KINDS if re.match(begin, data[:512], re.DOTALL | re.IGNORECASE))
    return next(found, None)


def is_address(name: str) -> bool:
    """Return whether a name is an address; `Path` makes one slash of two."""
    return bool(_ADDRESS.match(name))
