"""What is signed is valid by C2PA's own library, names its parts by digest, and holds no picture of anybody."""

import io
import json
import shutil
import subprocess
from pathlib import Path

import c2pa
import numpy as np
import pytest
from PIL import Image

from morphstream.artifact.digest import digest_of, digest_of_file
from morphstream.artifact.errors import MorphstreamError
from morphstream.media.credentials import FORMATS, CredentialsError, Signing
from morphstream.media.image import write_image
from morphstream.media.inspect import inspect
from morphstream.media.provenance import SOURCE_TYPE
from tests.media.certificates import make_certificates

FRAME = np.random.default_rng(1).integers(0, 255, (64, 96, 3), np.uint8)
PICTURES = [suffix for suffix, kind in FORMATS.items() if kind.startswith("image/")]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Return a certificate, its key and the authority."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def signing(certificates: tuple[Path, Path, Path]) -> Signing:
    """Return a certificate to sign with."""
    return Signing.read(*certificates[:2], "1.0")


def store_of(path: Path) -> dict[str, object]:
    """Return what a file is signed with, as C2PA's library reads it."""
    with c2pa.Reader(str(path)) as reader:
        found: dict[str, object] = json.loads(reader.json())
        return found


@pytest.mark.parametrize("suffix", PICTURES)
def test_a_picture_is_signed_and_says_what_it_was_made_of(tmp_path: Path, signing: Signing, suffix: str) -> None:
    source, target, path = tmp_path / "alice.png", tmp_path / "group.jpg", tmp_path / f"out{suffix}"
    source.write_bytes(b"a source")
    target.write_bytes(b"a target")
    write_image(path, FRAME, signing=signing.of(sources=[source], target=target))
    found = store_of(path)
    assert found["validation_state"] == "Valid"
    text = json.dumps(found)
    for part in (source, target):
        assert f"sha256:{digest_of_file(part).sha256}" in text
        assert part.name not in text
    assert "c2pa.opened" in text
    assert "c2pa.edited" in text
    assert "compositeWithTrainedAlgorithmicMedia" in text
    assert "thumbnail" not in text
    assert inspect(path).is_synthetic
    with Image.open(path) as image:
        assert image.size == (96, 64)


def test_a_file_without_a_target_was_created(tmp_path: Path, signing: Signing) -> None:
    write_image(tmp_path / "sheet.png", FRAME, signing=signing)
    text = json.dumps(store_of(tmp_path / "sheet.png"))
    assert "c2pa.created" in text
    assert "c2pa.opened" not in text


def test_inspect_judges_valid_trusted_and_changed_files(
    tmp_path: Path, signing: Signing, certificates: tuple[Path, Path, Path]
) -> None:
    path = tmp_path / "out.jpg"
    write_image(path, FRAME, signing=signing)
    assert "valid signature of Test Studio, whom nobody vouches for" in str(inspect(path).marks)
    assert "trusted signature of Test Studio" in str(inspect(path, anchors=certificates[2].read_text()).marks)
    data = bytearray(path.read_bytes())
    data[-300] ^= 1
    path.write_bytes(data)
    assert "broken signature of Test Studio: the file or its manifest was changed (assertion.dataHash.mismatch" in str(
        inspect(path, anchors=certificates[2].read_text()).marks
    )


def test_no_thumbnail_of_a_signed_original_travels_along(
    tmp_path: Path, signing: Signing, certificates: tuple[Path, Path, Path]
) -> None:
    original, out = tmp_path / "original.jpg", tmp_path / "out.jpg"
    data, signed = io.BytesIO(), io.BytesIO()
    Image.fromarray(FRAME).resize((2000, 1500)).save(data, "jpeg")
    info = c2pa.C2paSignerInfo(b"es256", *(path.read_bytes() for path in certificates[:2]), None)
    actions = [
        {"action": "c2pa.created", "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"}
    ]
    manifest = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}]}
    with c2pa.Signer.from_info(info) as signer, c2pa.Builder(manifest) as builder:
        builder.sign(signer, "image/jpeg", data, signed)
    original.write_bytes(signed.getvalue())
    assert "thumbnail" in json.dumps(store_of(original))
    write_image(out, FRAME, signing=signing.of(sources=[original], target=original))
    assert len(store_of(out)["manifests"]) == 1  # type: ignore[arg-type]
    assert "thumbnail" not in json.dumps(store_of(out))
    if shutil.which("exiftool"):
        read = subprocess.run(
            ["exiftool", "-a", "-G1", "-json", out], capture_output=True, text=True, check=True
        ).stdout
        assert "Thumbnail" not in read
        assert "c2pa.edited" in read


def test_a_certificate_that_cant_sign_is_refused_before_any_work(
    tmp_path: Path, certificates: tuple[Path, Path, Path]
) -> None:
    expired = make_certificates(tmp_path / "expired", days=-1)
    other = make_certificates(tmp_path / "other")
    text = tmp_path / "text.pem"
    text.write_text("words")
    good, key = certificates[:2]
    for certificate, its_key in ((good, other[1]), (text, key), (good, text), expired[:2]):
        with pytest.raises(CredentialsError, match="expected a certificate for signing content") as refused:
            Signing.read(certificate, its_key, "1.0")
        assert "words" not in str(refused.value)
        assert isinstance(refused.value, MorphstreamError)


def test_what_cant_be_signed_is_not_written(tmp_path: Path, signing: Signing) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"before")
    with pytest.raises(CredentialsError, match="expected to sign as image/png"):
        signing.sign_file(path, ".png")
    assert path.read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir()] == ["out.png"]


def test_the_key_is_in_no_text_of_it(signing: Signing) -> None:
    assert "PRIVATE KEY" not in repr(signing)
    assert digest_of(signing.key).sha256 not in repr(signing)


def test_what_others_assert_in_other_forms_is_passed_over(
    tmp_path: Path, certificates: tuple[Path, Path, Path]
) -> None:
    info = c2pa.C2paSignerInfo(b"es256", certificates[0].read_bytes(), certificates[1].read_bytes(), None)
    created = {"actions": [{"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE}]}
    others = [{"label": "org.example.list", "data": [1, 2]}, {"label": "org.example.text", "data": "a"}]
    assertions = [{"label": "c2pa.actions.v2", "data": created}, *others]
    write_image(tmp_path / "in.png", FRAME)
    with c2pa.Signer.from_info(info) as signer, c2pa.Builder({"assertions": assertions}) as builder:
        builder.sign_file(str(tmp_path / "in.png"), str(tmp_path / "out.png"), signer)
    assert "signature of Test Studio" in str(inspect(tmp_path / "out.png").marks)
