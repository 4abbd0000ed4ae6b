"""A picture that is written says in its own bytes, where other programs look for it, that it is synthetic."""

import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from morphstream.media.encode import FORMATS
from morphstream.media.image import write_image, write_picture
from morphstream.media.picture import frame_of
from morphstream.media.provenance import MARK, SOURCE_TYPE
from morphstream.media.read import read_picture
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


OWN = f"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:Iptc4xmpExt="{IPTC}"
 photoshop:Credit="Ann &amp; Ben" Iptc4xmpExt:DigitalSourceType="digitalCapture" dc:format="image/png">
<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">(c) Ann Ö</rdf:li></rdf:Alt></dc:rights>
<xmp:Thumbnails><rdf:Alt><rdf:li>the original face</rdf:li></rdf:Alt></xmp:Thumbnails>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif", ".tiff"])
def test_what_xmp_says_of_author_and_rights_stays_beside_the_mark(tmp_path: Path, suffix: str) -> None:
    image = Image.fromarray(noise(40, 60))
    if suffix == ".tiff":
        image.save(tmp_path / "in.tiff", tiffinfo={700: OWN})
    elif suffix == ".png":
        (info := PngInfo()).add_itxt("XML:com.adobe.xmp", OWN.decode())
        image.save(tmp_path / "in.png", pnginfo=info)
    else:
        image.save(tmp_path / f"in{suffix}", xmp=OWN)
    picture = read_picture(tmp_path / f"in{suffix}")
    assert write_picture(tmp_path / f"out{suffix}", picture, [frame_of(picture.pixels[0])]) == []
    assert list(picture.notes) == []
    packet = packet_in(tmp_path / f"out{suffix}")
    root = ET.fromstring(packet)  # noqa: S314  # our own bytes
    (description,) = root.iter(DESCRIPTION)
    assert description.get(f"{{{IPTC}}}DigitalSourceType") == SOURCE_TYPE
    assert description.get("{http://ns.adobe.com/photoshop/1.0/}Credit") == "Ann & Ben"
    assert "(c) Ann Ö" in packet.decode()
    for left_out in (b"original face", b"digitalCapture", b"image/png"):
        assert left_out not in (tmp_path / f"out{suffix}").read_bytes()


@pytest.mark.parametrize(
    "xmp",
    [
        b"no XML",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        b"<?xml version='1.0' encoding='nobody knows'?><a/>",
        b"<?xml version='1.0' encoding='nobody'?><a/>",
        OWN.replace(b"Ann &amp; Ben", b"A" * 70_000),
        OWN.replace("(c) Ann Ö".encode(), b"<b>" * 3000 + b"</b>" * 3000),
    ],
    ids=["no XML", "entities", "no encoding", "unknown encoding", "too long", "too deep"],
)
def test_xmp_that_cannot_be_kept_is_left_out_and_said(tmp_path: Path, xmp: bytes) -> None:
    Image.fromarray(noise(40, 60)).save(tmp_path / "in.webp", xmp=xmp)
    picture = read_picture(tmp_path / "in.webp")
    assert list(picture.notes) == ["its XMP is left out: it is damaged, or too long"]
    write_picture(tmp_path / "out.webp", picture, [frame_of(picture.pixels[0])])
    assert packet_in(tmp_path / "out.webp") == MARK


def test_a_picture_of_original_faces_may_be_written_without_the_mark(picture: Path) -> None:
    write_image(picture, noise(40, 60), overwrite=True, is_synthetic=False)
    assert SOURCE_TYPE.encode() not in picture.read_bytes()
