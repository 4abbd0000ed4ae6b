"""The mark that says that a file is synthetic: written, with what stays of the XMP that was there, and read back.

Source: IPTC Photo Metadata Standard, Digital Source Type; XMP specification, part 1.
"""

from contextlib import suppress
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

CREATOR = 'xmp:CreatorTool="morphstream"'
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"

_BEGIN, _END = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n', '\n<?xpacket end="w"?>'
_MARK = f"""<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"
    {CREATOR}/>
 </rdf:RDF>
</x:xmpmeta>"""
MARK = f"{_BEGIN}{_MARK}{_END}".encode()  # an XMP packet

_PREFIXES = {  # of the names that an XMP packet has, and whether a picture's own may stay
    "http://purl.org/dc/elements/1.1/": ("dc", True),
    "http://ns.adobe.com/xap/1.0/rights/": ("xmpRights", True),
    "http://ns.adobe.com/photoshop/1.0/": ("photoshop", True),
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": ("Iptc4xmpCore", True),
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": ("Iptc4xmpExt", False),
    "http://ns.adobe.com/xap/1.0/": ("xmp", False),
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#": ("rdf", False),
    "adobe:ns:meta/": ("x", False),
}
_DESCRIPTION = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}RDF"
_TOOL = "{http://ns.adobe.com/xap/1.0/}CreatorTool"
_READ = {  # and what each says
    "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType": "source type",
    _TOOL: "made with",
}
_NOT_KEPT = ("{http://purl.org/dc/elements/1.1/}format", "{http://ns.adobe.com/photoshop/1.0/}History")
_SYNTHETIC = (  # Source: IPTC NewsCodes, Digital Source Type
    "algorithmicMedia",
    "compositeSynthetic",
    "compositeWithTrainedAlgorithmicMedia",
    "trainedAlgorithmicMedia",
)
_MOST_BYTES = 60_000  # what a JPEG holds, but for headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a file says of how it was made.

    Attributes:
        place: Where, such as XMP.
        text: What, in words.
        is_synthetic: Whether it says that the file, or a part of it, is synthetic.
    """

    place: str
    text: str
    is_synthetic: bool = False


def is_ours(path: Path) -> bool:
    """Return whether a file has the mark of one that was swapped here: it can be had again."""
    with path.open("rb") as file, suppress(ValueError), mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        return data.find(CREATOR.encode()) >= 0
    return False  # it is empty


def read_marks(xmp: bytes) -> list[Mark]:
    """Return what an XMP packet says of how a file was made: its source types, and the tool that made it.

    Raises:
        ValueError: It is no XMP.
    """
    marks = []
    for part in _parsed(xmp).iter():
        for name, text in [*part.attrib.items(), (part.tag, part.text or next(iter(part.attrib.values()), ""))]:
            if name in _READ and (value := text.strip()):
                is_synthetic = name != _TOOL and is_synthetic_type(value)
                marks.append(Mark(place="XMP", text=f"{_READ[name]} {value}", is_synthetic=is_synthetic))
    return marks


def is_synthetic_type(source_type: str) -> bool:
    """Return whether an IPTC source type, a URI, says that a part of a file at least was made by a program."""
    return source_type.rpartition("/")[2] in _SYNTHETIC


def mark_with(xmp: bytes) -> bytes:
    """Return the mark, with what a picture's own XMP says of its author, its rights and what it shows.

    All else is left out: XMP may hold thumbnails, names of faces, and a history of edits.

    Raises:
        ValueError: It is no XMP, or too long or too deep.
    """
    import xml.etree.ElementTree as ET

    mark = ET.fromstring(_MARK)  # noqa: S314  # our own
    (ours,) = mark.iter(_DESCRIPTION)
    for description in (part for rdf in _parsed(xmp).iter(_RDF) for part in rdf.findall(_DESCRIPTION)):
        ours.attrib |= {name: value for name, value in description.attrib.items() if _may_stay(name)}
        ours.extend(part for part in description if _may_stay(part.tag))
    for uri, (prefix, _) in _PREFIXES.items():
        ET.register_namespace(prefix, uri)
    try:
        packet = f"{_BEGIN}{ET.tostring(mark, 'unicode')}{_END}".encode()
    except RecursionError:
        raise ValueError("XMP: expected elements of a few levels, seen hundreds") from None
    if len(packet) > _MOST_BYTES:
        raise ValueError(f"XMP: expected at most {_MOST_BYTES} bytes, seen {len(packet)}")
    return packet


def _parsed(xmp: bytes) -> "ET.Element":
    import xml.etree.ElementTree as ET

    if b"<!" in xmp:
        raise ValueError("XMP: expected no declarations, seen some")
    try:
        return ET.fromstring(xmp.strip(b"\0 \t\r\n"))  # noqa: S314  # without declarations, which is checked above
    except (ET.ParseError, LookupError) as error:  # the latter of an encoding that it names
        raise ValueError(f"XMP: expected XML, seen {error}") from None


def _may_stay(name: str) -> bool:
    uri = name.partition("}")[0].removeprefix("{")
    return _PREFIXES.get(uri, ("", False))[1] and name not in _NOT_KEPT
