"""The mark that says a picture is synthetic.

Source: IPTC Photo Metadata Standard, Digital Source Type; XMP specification, part 1.
"""

import numpy as np
import numpy.typing as npt

_JPEG_HEADER = b"http://ns.adobe.com/xap/1.0/\0"  # tells XMP from EXIF; OpenCV writes none
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


def xmp(*, is_jpeg: bool) -> npt.NDArray[np.uint8]:
    """Return the mark as an XMP packet, UTF-8 bytes, as a format keeps it."""
    return np.frombuffer((_JPEG_HEADER if is_jpeg else b"") + _XMP.encode(), np.uint8)
