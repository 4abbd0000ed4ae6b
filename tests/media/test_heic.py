"""HEIC is read upright where the extra is installed, and named with what reads it where not."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from morphstream.artifact.errors import ImageError
from morphstream.media.read import read_picture
from tests.face import waves

TURNED = Path(__file__).parents[1] / "corpus/pictures/turned.heic"  # `waves(24, 32)`, on its left side; by libheif


@pytest.mark.skipif(not find_spec("pi_heif"), reason="pi-heif is not installed")
def test_heic_is_read_upright_with_its_metadata() -> None:
    picture = read_picture(TURNED)
    assert np.abs(picture.pixels[0].astype(int) - waves(24, 32)).mean() < 3
    assert b"Acme" in (picture.metadata.exif or b"")


@pytest.mark.skipif(bool(find_spec("pi_heif")), reason="pi-heif is installed")
def test_heic_is_named_where_nothing_reads_it() -> None:
    with pytest.raises(ImageError, match=r"seen HEIC without its reader; run: pip install 'morphstream\[heic\]'"):
        read_picture(TURNED)
