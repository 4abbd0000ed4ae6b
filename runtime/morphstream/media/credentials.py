"""Content Credentials: sign pictures and videos with a certificate, as C2PA has it, and read back what was signed.

Conventions:

* A signature is the last thing that a file gets: any later change breaks it. What is signed is read back, and is only
  written where the signature holds and nothing of an original picture is in it.
* Sources and targets are named by digest, in ``instance_id``, never by file name; none of their bytes are in the file,
  and nothing of what they were signed with: that may have a thumbnail of a face.

Source: C2PA Technical Specification 2.2, actions and ingredients; opensource.contentauthenticity.org, settings.
"""

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Self

from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.regular_file import read_regular
from morphstream.artifact.staged import part_of
from morphstream.media.provenance import SOURCE_TYPE

SETTINGS: Mapping[str, object] = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},  # a file says which addresses to ask
    "core": {"backing_store_memory_threshold_in_mb": 64},
}
FORMATS = {  # that can hold a signature, by suffix
    **dict.fromkeys((".jpg", ".jpeg"), "image/jpeg"),
    **dict.fromkeys((".tif", ".tiff"), "image/tiff"),
    **dict.fromkeys((".mp4", ".m4v"), "video/mp4"),
    ".png": "image/png",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".gif": "image/gif",
    ".mov": "video/quicktime",
}
_ALGORITHMS = ("es256", "es384", "es512", "ps256", "ed25519")  # tried in this order: a key fits one kind
_HOLDS = ("Valid", "Trusted")
_MOST_BYTES = 1 << 20  # of a certificate chain or a key


class CredentialsError(MorphstreamError):
    """A file can't be signed, or the certificate and key aren't fit for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """A certificate to sign with, and what a file was made of.

    Attributes:
        certificates: The signer's certificate, and those that vouch for it, in PEM.
        key: The private key, in PEM.
        algorithm: How the key signs, such as ``es256``.
        version: Of this program, as it says of itself.
        time_stamp_url: Of an authority that is asked to confirm the time; None to ask nobody.
        sources: sha256 of each picture of a face that was put in.
        target: sha256 of the file that was swapped; None for a file that had none, such as a camera's recording.
    """

    certificates: bytes
    key: bytes = field(repr=False)
    algorithm: str
    version: str
    time_stamp_url: str | None = None
    sources: tuple[str, ...] = ()
    target: str | None = None

    @classmethod
    def read(cls, certificate: Path, key: Path, version: str, time_stamp_url: str | None = None) -> Self:
        """Read a certificate and its key, and sign something with them once.

        Raises:
            CredentialsError: They aren't fit to sign, or the extra ``c2pa`` isn't installed.
            OSError: They can't be read.
        """
        texts = read_regular(certificate, _MOST_BYTES), read_regular(key, _MOST_BYTES)
        reasons = list[str]()
        for algorithm in _ALGORITHMS:
            signing = cls(certificates=texts[0], key=texts[1], algorithm=algorithm, version=version)
            try:
                signing.sign_bytes(_smallest(), ".png")
            except CredentialsError as error:
                reasons.append(str(error))
            else:
                return replace(signing, time_stamp_url=time_stamp_url)
        expected = f"{certificate}: expected a certificate for signing content, valid today, and its key in {key}"
        raise CredentialsError(f"{expected}, seen: {reasons[0].rpartition('seen ')[2]}")

    def of(self, sources: Iterable[Path] = (), target: Path | None = None) -> Self:
        """Return the same certificate for a file that is made of others, which are read.

        Raises:
            OSError: One can't be read.
        """
        digests = tuple(dict.fromkeys(digest_of_file(path).sha256 for path in sources))
        found = self.target if target is None or target.is_dir() else digest_of_file(target).sha256
        return replace(self, sources=digests or self.sources, target=found)

    def sign_bytes(self, data: bytes, suffix: str) -> bytes:
        """Return a file's bytes, signed.

        Raises:
            CredentialsError: They can't be, or what came of it isn't right.
        """
        signed = io.BytesIO()
        self.sign(io.BytesIO(data), signed, suffix)
        return signed.getvalue()

    def sign_file(self, path: Path, suffix: str) -> None:
        """Replace a file, whose format a suffix says, by its signed copy; raises as `sign_bytes`, and then it stays."""
        signed = part_of(path)
        try:
            with path.open("rb") as source, signed.open("w+b") as out:
                self.sign(source, out, suffix)
            signed.replace(path)
        finally:
            signed.unlink(missing_ok=True)

    def sign(self, source: BinaryIO, signed: BinaryIO, suffix: str) -> None:
        """Sign a file into another, empty one, and read that back; raises as `sign_bytes`."""
        c2pa, format_name = _library(), FORMATS[suffix]
        info = c2pa.C2paSignerInfo(self.algorithm.encode(), self.certificates, self.key, self.time_stamp_url)
        try:
            with (
                c2pa.Context.from_dict(dict(SETTINGS)) as context,
                c2pa.Signer.from_info(info) as signer,
                c2pa.Builder(self._manifest(format_name), context=context) as builder,
            ):
                builder.sign(signer, format_name, source, signed)
            signed.seek(0)
            found = read_store(signed, format_name)
        except c2pa.C2paError as error:
            raise CredentialsError(f"C2PA: expected to sign as {format_name}, seen {error}") from None
        _check(found or {})

    def _manifest(self, format_name: str) -> dict[str, object]:
        parts = [("source", "inputTo", f"source{number}", sha256) for number, sha256 in enumerate(self.sources)]
        used = {"parameters": {"ingredientIds": [label for _, _, label, _ in parts]}} if parts else {}
        action: dict[str, object] = {"digitalSourceType": SOURCE_TYPE, **used}
        actions: list[dict[str, object]] = [{"action": "c2pa.created", **action}]
        if self.target is not None:
            parts.append(("target", "parentOf", "target", self.target))
            opened: dict[str, object] = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["target"]}}
            actions = [opened, {"action": "c2pa.edited", **action}]
        return {
            "claim_generator_info": [{"name": "morphstream", "version": self.version}],
            "title": "faces swapped by morphstream",
            "format": format_name,
            "ingredients": [
                {"title": title, "relationship": relation, "label": label, "instance_id": f"sha256:{sha256}"}
                for title, relation, label, sha256 in parts
            ],
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
        }


def read_store(file: BinaryIO, format_name: str, settings: Mapping[str, object] = SETTINGS) -> dict[str, Any] | None:
    """Return what a file is signed with, as C2PA's library tells it; None where it isn't. Raises that library's errors.

    Args:
        file: The file, at its beginning.
        format_name: Its media type.
        settings: Of the library, as `SETTINGS`.
    """
    c2pa = _library()
    with c2pa.Context.from_dict(dict(settings)) as context:
        if (reader := c2pa.Reader.try_create(format_name, file, context=context)) is None:
            return None
        with reader:
            found: dict[str, Any] = json.loads(reader.json())
            return found


def _library() -> Any:
    try:
        return import_module("c2pa")
    except ModuleNotFoundError:
        expected = "C2PA: expected its library, as a certificate is configured"
        raise CredentialsError(f"{expected}, seen none; run: pip install 'morphstream[c2pa]'") from None


def _check(store: Mapping[str, Any]) -> None:
    """Check that what was signed is valid, is ours alone, and holds no picture."""
    manifests = store.get("manifests", {})
    if (state := store.get("validation_state")) not in _HOLDS or len(manifests) != 1:
        codes = ", ".join(sorted({one["code"] for one in store.get("validation_status", ())}))
        seen = f"{state or 'no signature'} with {len(manifests)} manifests{f' ({codes})' if codes else ''}"
        raise CredentialsError(f"C2PA: expected one manifest that is valid, seen {seen}")
    if "thumbnail" in json.dumps(manifests):
        raise CredentialsError("C2PA: expected no picture in the manifest, seen a thumbnail; nothing was written")


def _smallest() -> bytes:
    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "png")
    return data.getvalue()
