"""Name what is no picture, by its first bytes or by its name; a video is one of them."""

import re
from pathlib import Path

from morphstream.artifact.regular_file import open_regular

VIDEO = "a video"
_VIDEOS = (  # how files begin, by their containers
    rb"....ftyp(?!avi[fs]|hei[cxms]|hev[cxms]|mif1|msf1)|....(moov|mdat|wide|free|skip|pnot)",  # MP4, MOV
    rb"\x1a\x45\xdf\xa3",  # MKV, WebM
    rb"RIFF....AVI |FLV\x01|OggS|\x30\x26\xb2\x75|\.RMF|\xb7\xd8\x00\x20",  # AVI, FLV, Ogg, ASF, RM, WTV
    rb"\x47.{187}\x47|.{4}\x47.{191}\x47|\0\0\x01[\xb3\xba]",  # MPEG
    rb"\0?\0\0\x01[\x06\x09\x0c\x27\x40\x42\x46\x67]|DKIF|YUV4MPEG2 ",  # H.264, HEVC, VVC; IVF; YUV
    rb"\x06\x0e\x2b\x34\x02\x05\x01\x01|nut/multimedia container",  # MXF, NUT
)
_KINDS = (  # what a file begins with, and what it is
    (b"|".join(_VIDEOS), VIDEO),
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


def is_video(path: Path) -> bool:
    """Return whether a file is a video by how it begins: neither a GIF nor another animated picture is one.

    Raises:
        OSError: It can't be read.
    """
    with open_regular(path) as file:
        return kind_of(file.read(512)) == VIDEO


def is_address(name: str) -> bool:
    """Return whether a name is an address; `Path` makes one slash of two."""
    return bool(_ADDRESS.match(name))
