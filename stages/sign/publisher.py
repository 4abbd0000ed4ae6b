"""Sign what is published: on top of what is signed there already, whose documents are verified before they are kept."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root

from morphstream.artifact.digest import Digest, digest_of
from morphstream.artifact.errors import MorphstreamError
from morphstream.artifact.regular_file import read_regular
from morphstream.source.signed import METADATA, ROOT_BYTES_MAX
from morphstream.source.source import SMALL_BYTES_MAX
from stages.files import write_whole
from stages.hub.repository import Content
from stages.params import Params, ParamsError
from stages.publish.card import CARD
from stages.publish.plan import Tip
from stages.sign.documents import LISTS, REVERT, Published, check_signer, is_current, is_document, sign_documents
from stages.sign.keys import SignError, publisher_key
from stages.sign.roots import check_chain, read_root, version_of
from stages.sign.validity import Validity
from stages.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """Who signs: the root documents of a workspace, and a publisher's key of the newest.

    Attributes:
        roots: The root documents by version.
        signer: The key.
        validity: How long what is signed is valid.
        now: The time, in UTC.
        is_first: Sign what is published by now though nobody has, as where signing begins.
    """

    roots: Mapping[int, bytes]
    signer: CryptoSigner
    validity: Validity
    now: datetime
    is_first: bool = False

    @classmethod
    def of(cls, workspace: Workspace, params: Params) -> Self:
        """Return the publisher of a workspace, with the key that the environment names.

        Raises:
            ParamsError: params.yaml doesn't say that what is published is signed.
            SignError: There is no root that is completely signed, or no such key.
        """
        if params.signing is None:
            raise ParamsError("signing", "expected how long signatures are valid, seen no such key")
        roots, signer, now = read_roots(workspace), publisher_key(), datetime.now(UTC)
        publisher = cls(roots=roots, signer=signer, validity=params.signing, now=now)
        check_signer(publisher.root, signer, now)
        return publisher

    @property
    def root(self) -> Metadata[Root]:
        """The newest root."""
        newest = max(self.roots)
        return read_root(self.roots[newest], f"root {newest}")

    def verified(self, tip: Tip) -> Tip:
        """Return a tip whose documents are only read as they were signed there.

        Raises:
            SignError: What is there wasn't signed as our roots say.
        """
        signed = self._published(tip).documents
        if removed := sorted(signed.keys() - tip.held.keys() - {CARD}):
            raise SignError(f"published {removed[0]}: expected it as it was signed, seen none; {REVERT}")

        def read(path: str) -> bytes | None:
            text = tip.read(path)
            if signed and text is not None and is_document(path) and path != CARD:
                _check_signed(path, digest_of(text), signed)
            return text

        return replace(tip, read=read)

    def files(self, tip: Tip, files: Mapping[str, Content], deleted: Collection[str]) -> dict[str, Content]:
        """Return the metadata of a publication by path: roots, and the lists of its documents.

        Args:
            tip: What it is made on top of, as `verified` returns it.
            files: What is published, new or not.
            deleted: What isn't any more.

        Raises:
            SignError: As of `verified` and `sign_documents`.
        """
        documents = {path: content.digest for path, content in files.items() if is_document(path)}
        for path in sorted(tip.held):
            if path not in files and path not in deleted and is_document(path) and (text := tip.read(path)) is not None:
                documents[path] = digest_of(text)
        published, root = self._published(tip), self.root
        if is_current(documents, published, root, self.now):
            lists = dict(published.lists)
        else:
            lists = sign_documents(documents, published, root, self.signer, validity=self.validity, now=self.now)
        return _contents({**self.root_files, **lists})

    def renewed(self, tip: Tip) -> dict[str, Content]:
        """Return the metadata of a tip with a new timestamp; the documents stay as they were signed.

        Raises:
            SignError: They weren't.
        """
        published = self._published(tip)
        if not (documents := published.documents):
            raise SignError("sign: expected signed documents to renew, seen none; publish them first")
        lists = sign_documents(documents, published, self.root, self.signer, validity=self.validity, now=self.now)
        return _contents({**self.root_files, **lists})

    @property
    def root_files(self) -> dict[str, bytes]:
        """The root documents by published path."""
        return {f"{METADATA}/{version}.root.json": text for version, text in self.roots.items()}

    def _published(self, tip: Tip) -> Published:
        """Return what is signed at a tip, whose roots must be ours; nothing where nothing is there to be signed."""
        if not is_signed(tip):
            if not self.is_first and (found := [path for path in sorted(tip.held) if is_document(path)]):
                expected = f"published {found[0]}: expected it as it was signed, seen nothing that is"
                raise SignError(f"{expected}; {REVERT}, or where signing begins, run with --first-signature")
            return Published()
        newest = max((version for path in tip.held if (version := _root_version(path))), default=0)
        if (root := tip.read(f"{METADATA}/{newest}.root.json")) is None or self.roots.get(newest) != root:
            expected = f"published root {newest}: expected that of manifests/root"
            raise SignError(f"{expected}, seen another or none there; pull the newest root, or {REVERT}")
        lists = {path: text for path in LISTS if (text := tip.read(path)) is not None}
        published = Published(root=read_root(root, f"published root {newest}"), lists=lists)
        published.check()
        return published


def is_signed(tip: Tip) -> bool:
    """Return whether anything of signatures is at a tip, be it complete or not."""
    return any(path.startswith(f"{METADATA}/") for path in tip.held)


def check_unsigned(tip: Tip) -> None:
    """Check that nothing at a tip is signed: what is published there without a signature would be refused by workers.

    Raises:
        MorphstreamError: Something is.
    """
    if is_signed(tip):
        expected = "publish: expected the key signing in params.yaml, as what is published there is signed"
        raise MorphstreamError(f"{expected}, seen none; add it as docs/signing.md says")


def read_roots(workspace: Workspace) -> dict[int, bytes]:
    """Return the root documents of a workspace by version.

    Raises:
        SignError: There is none; or one is missing, or isn't completely signed: workers follow each of them.
    """
    folder = workspace.tracked / "root"
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    roots = {version: read_regular(path, ROOT_BYTES_MAX) for path in paths if (version := version_of(path.name))}
    if not roots:
        raise SignError(f"{folder}: expected a root document, seen none; make one with: python -m stages.sign init")
    check_chain(roots, folder)
    return roots


def sign_folder(folder: Path, publisher: Publisher) -> list[str]:
    """Sign the documents of a folder of the published layout, such as ``build``, and return their paths.

    Raises:
        SignError: It has no documents, or another publisher's root; or as of `Publisher.files`.
    """
    held = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.json") if path.is_file()}
    held |= {name: folder / name for name in (CARD, "NOTICE") if (folder / name).is_file()}
    texts = {
        path: read_regular(file, SMALL_BYTES_MAX)
        for path, file in held.items()
        if is_document(path) or path.startswith(f"{METADATA}/")
    }
    if not (documents := {path: digest_of(text) for path, text in texts.items() if is_document(path)}):
        raise SignError(f"{folder}: expected a folder of the published layout, seen no manifest in it; name another")
    newest = max((version for path in texts if (version := _root_version(path))), default=0)
    before = Published()
    if newest:
        if publisher.roots.get(newest) != texts[f"{METADATA}/{newest}.root.json"]:
            expected = f"{folder / METADATA}: expected root {newest} as manifests/root has it"
            raise SignError(f"{expected}, seen another; get the newest root, or remove that folder to begin anew")
        root = read_root(publisher.roots[newest], f"root {newest}")
        before = Published(root=root, lists={path: texts[path] for path in LISTS if path in texts})
    lists = sign_documents(
        documents, before, publisher.root, publisher.signer, validity=publisher.validity, now=publisher.now
    )
    for path, text in {**publisher.root_files, **lists}.items():
        write_whole(folder / path, text)
    return sorted(documents)


def _root_version(path: str) -> int | None:
    return version_of(path.removeprefix(f"{METADATA}/"))


def _contents(texts: Mapping[str, bytes]) -> dict[str, Content]:
    return {path: Content(digest_of(text), text) for path, text in texts.items()}


def _check_signed(path: str, seen: Digest, signed: Mapping[str, Digest]) -> None:
    if seen != signed.get(path):
        expected = f"published {path}: expected it as it was signed, {signed.get(path, 'which it was not')}"
        raise SignError(f"{expected}, seen {seen}; {REVERT}")
