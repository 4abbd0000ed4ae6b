"""A picture that is written says in its own bytes, where other programs look for it, that it is synthetic."""

import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from morphstream.media.encode import FORMATS
from morphstream.media.image import write_image
from morphstream.media.provenance import SOURCE_TYPE
from tests.face import noise

IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
DESCRIPTION = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"


def packet_in(path: Path) -> bytes:
    """Return the XMP packet of a picture, as Pillow reads it back; of a GIF from its bytes."""
    if path.suffix == ".gif":
        return path.read_bytes().partition(b"XMP DataXMP")[2].partition(b"\x01\xff\xfe")[0]
    with Image.open(path) as image:
        packet = image.info["xmp"]
    assert isinstance(packet, bytes)
    return packet


@pytest.fixture(params=[*FORMATS, ".JPG"])
def picture(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A picture of each format, as it is written."""
    path = tmp_path / f"picture{request.param}"
    write_image(path, noise(40, 60))
    return path


def test_the_mark_names_a_composite_with_trained_algorithmic_media(picture: Path) -> None:
    root = ET.fromstring(packet_in(picture))  # noqa: S314  # our own bytes
    (description,) = root.iter(DESCRIPTION)
    assert description.get(f"{{{IPTC}}}DigitalSourceType") == SOURCE_TYPE
    assert SOURCE_TYPE == "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
    assert description.get("{http://ns.adobe.com/xap/1.0/}CreatorTool") == "morphstream"


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of each segment of a JPEG before its pixels."""
    place = 2
    while data[place + 1] != 0xDA:
        marker, size = struct.unpack_from(">HH", data, place)
        yield marker, data[place + 4 : place + 2 + size]
        place += 2 + size


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPEG"])
def test_a_jpegs_mark_has_the_header_by_which_readers_know_it(tmp_path: Path, suffix: str) -> None:
    """Source: XMP specification, part 3, JPEG."""
    write_image(tmp_path / f"a{suffix}", noise(40, 60))
    (mark,) = (body for marker, body in segments((tmp_path / f"a{suffix}").read_bytes()) if marker == 0xFFE1)
    assert mark.startswith(JPEG_XMP + b"<?xpacket begin=")


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of each chunk of a PNG."""
    place = 8
    while place < len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        yield kind, data[place + 8 : place + 8 + size]
        place += 12 + size


def test_a_pngs_mark_stands_under_the_keyword_of_xmp(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", noise(40, 60))
    texts = [body for kind, body in chunks((tmp_path / "a.png").read_bytes()) if kind in (b"tEXt", b"iTXt")]
    assert [body.split(b"\0")[0] for body in texts] == [b"XML:com.adobe.xmp"]


def test_a_pngs_mark_ends_where_it_ends(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", noise(4, 6))
    (text,) = (body for kind, body in chunks((tmp_path / "a.png").read_bytes()) if kind in (b"tEXt", b"iTXt"))
    assert text.endswith(b'<?xpacket end="w"?>')


def test_a_webps_mark_stands_in_its_xmp_chunk(tmp_path: Path) -> None:
    write_image(tmp_path / "a.webp", noise(40, 60))
    data = (tmp_path / "a.webp").read_bytes()
    place = data.index(b"XMP ")
    (size,) = struct.unpack_from("<I", data, place + 4)
    assert SOURCE_TYPE.encode() in data[place + 8 : place + 8 + size]
