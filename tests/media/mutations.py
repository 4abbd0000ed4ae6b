"""Pictures that something went wrong with: whole ones of each format, and mutated ones."""

import io
import random
from collections.abc import Iterator
from functools import cache

import cv2
import numpy as np
from PIL import Image

from tests.face import waves
from tests.media.pictures import animated, encoded


@cache
def whole_pictures() -> dict[str, bytes]:
    """Return a picture of each kind that can be read, by its suffix."""
    photo = waves(120, 160) ^ np.random.default_rng(0).integers(0, 8, (120, 160, 3), np.uint8)
    made = {suffix: encoded(suffix, photo) for suffix in (".png", ".jpg", ".webp", ".avif", ".tiff")}
    frames = [np.roll(photo, shift, axis=1) for shift in (0, 9, 20)]
    made |= {f".a{suffix[1:]}": animated(suffix, frames, [50, 60, 70]) for suffix in (".webp", ".png", ".gif", ".avif")}
    deep = photo.astype(np.uint16) * 257
    made |= {f".16{suffix[1:]}": cv2.imencode(suffix, deep)[1].tobytes() for suffix in (".png", ".tiff")}
    made[".10avif"] = cv2.imencode(".avif", deep >> 6, [cv2.IMWRITE_AVIF_DEPTH, 10])[1].tobytes()
    for name, image in (
        (".gif", Image.fromarray(photo).quantize(64)),
        (".bmp", Image.fromarray(photo)),
        (".ppm", Image.fromarray(photo)),
        (".jp2", Image.fromarray(photo)),
        (".cmyk.tiff", Image.fromarray(photo).convert("CMYK")),
        (".palette.png", Image.fromarray(photo).quantize(64)),
        (".bits.png", Image.fromarray(photo).convert("1")),
    ):
        file = io.BytesIO()
        image.save(file, Image.registered_extensions()[f".{name.rpartition('.')[2]}"])
        made[name] = file.getvalue()
    return made


def mutated_pictures(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield pictures that are cut, changed, lengthened or shortened somewhere, often in their first bytes."""
    chosen, whole = random.Random(seed), whole_pictures()
    for _ in range(count):
        suffix = chosen.choice(sorted(whole))
        data = bytearray(whole[suffix])
        place = chosen.randrange(len(data))
        match chosen.randrange(5):
            case 0:
                del data[place:]
            case 1:
                for _ in range(chosen.randrange(1, 20)):
                    data[chosen.randrange(len(data))] = chosen.randrange(256)
            case 2:
                for _ in range(chosen.randrange(1, 8)):
                    data[chosen.randrange(min(400, len(data)))] = chosen.choice(
                        (0, 127, 128, 255, chosen.randrange(256))
                    )
            case 3:
                data[place:place] = chosen.randbytes(chosen.randrange(1, 64))
            case 4:
                del data[place : place + chosen.randrange(1, 64)]
        yield suffix, bytes(data)
