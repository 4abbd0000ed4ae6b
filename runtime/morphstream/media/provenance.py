"""The mark that says a picture is synthetic.

Source: IPTC Photo Metadata Standard, Digital Source Type; XMP specification, part 1.
"""

import numpy as np
import numpy.typing as npt

# What OpenCV leaves out before and after a packet: the header by which readers tell XMP from EXIF, and the end of a
# text; without it libpng writes on to the next 0 in memory.
_JPEG, _PNG = (b"http://ns.adobe.com/xap/1.0/\0", b""), (b"", b"\0")
_AROUND = {".jpg": _JPEG, ".jpeg": _JPEG, ".png": _PNG, ".webp": (b"", b"")}

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"

_XMP = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"
    xmp:CreatorTool="morphstream"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def xmp(suffix: str) -> npt.NDArray[np.uint8]:
    """Return the mark as an XMP packet, UTF-8 bytes, as OpenCV expects it for a file name's suffix."""
    before, after = _AROUND[suffix.lower()]
    return np.frombuffer(before + _XMP.encode() + after, np.uint8)
