"""`python -m stages.sign` makes what python-tuf's own client accepts, and refuses what would be signed in vain."""

import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from morphstream.artifact.digest import digest_of
from stages.sign.documents import Published, is_document, sign_documents
from stages.sign.keys import SignError, make_key, publisher_key, read_public, read_signer
from stages.sign.publisher import read_roots
from stages.sign.roots import Change, cosign, missing, next_root, read_root, to_bytes
from stages.workspace import Workspace
from tests.layouts import CPU, publish
from tests.signing import VALIDITY, Signing

_OF_A_CURVE_THAT_NOBODY_HAS = """\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoEcz1UBgi0DQgAEntHLp5YVyJz1jcUNI2wyeYH/ogxV
hq3wEIUrc5XQ849/VUB7q2+BrDRHGl2m0M+IesqlXBvD4OhAuHq4FmmTGw==
-----END PUBLIC KEY-----
"""


class FolderFetcher(FetcherInterface):
    """Fetches a folder's files for python-tuf's client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = self.folder / url.removeprefix("https://host/")
        if not path.is_file():
            from tuf.api.exceptions import DownloadHTTPError

            raise DownloadHTTPError(url, 404)
        return iter([path.read_bytes()])


def test_python_tufs_client_accepts_what_is_signed_and_follows_a_rotation(tmp_path: Path) -> None:
    signing = Signing(tmp_path / "keys")
    layout = signing.sign(publish(tmp_path / "layout", CPU))
    fresh = signing.new_key("fresh")
    signing.change([("publisher", fresh)], [signing.key])
    signing.sign(layout, key=fresh)
    (tmp_path / "state").mkdir()
    updater = Updater(
        *(str(tmp_path / "state"), "https://host/metadata/"), fetcher=FolderFetcher(layout), bootstrap=signing.roots[1]
    )
    target = updater.get_targetinfo("manifests/archives.json")
    assert target
    target.verify_length_and_hashes((layout / "manifests/archives.json").read_bytes())


def test_the_same_documents_keys_and_time_give_the_same_bytes(tmp_path: Path) -> None:
    signing, documents = Signing(tmp_path), {"manifests/archives.json": digest_of(b"a"), "README.md": digest_of(b"b")}
    root = read_root(signing.roots[1], "root")

    def sign(before: Published) -> dict[str, bytes]:
        return sign_documents(documents, before, root, signing.key, validity=VALIDITY, now=signing.now)

    first = sign(Published())
    assert first == sign(Published())
    again = sign(Published(root=root, lists=first))
    assert again["metadata/targets.json"] == first["metadata/targets.json"]
    assert again["metadata/timestamp.json"] != first["metadata/timestamp.json"]


def test_a_root_of_two_keys_is_complete_once_both_have_signed(tmp_path: Path) -> None:
    one, two, key = (make_key(tmp_path / name) for name in ("one", "two", "publisher"))
    change = Change(
        added=[("root", one.public_key), ("root", two.public_key), ("publisher", key.public_key)],
        thresholds=[("root", 2)],
        expires=Signing(tmp_path / "clock").now + timedelta(days=30),
    )
    root = next_root(None, change)
    cosign(root, [one], None)
    assert missing(root, None) == ["1 more of its own root keys"]
    workspace = Workspace(tmp_path)
    (workspace.tracked / "root").mkdir(parents=True)
    (workspace.tracked / "root/1.root.json").write_bytes(to_bytes(root))
    with pytest.raises(SignError, match="lacking 1 more of its own root keys; sign it with: "):
        read_roots(workspace)
    cosign(root, [two], None)
    assert missing(root, None) == []
    with pytest.raises(SignError, match="expected a root key of it"):
        cosign(root, [key], None)


def test_the_next_root_is_signed_by_the_one_before(tmp_path: Path) -> None:
    signing, thief = Signing(tmp_path / "keys"), make_key(tmp_path / "thief")
    before = read_root(signing.roots[1], "root")
    change = Change(
        added=[("root", thief.public_key)],
        revoked=[signing.root_key.public_key.keyid],
        expires=signing.now + timedelta(days=3),
    )
    root = next_root(before, change)
    cosign(root, [thief], before)
    assert missing(root, before) == ["1 more of the version before's root keys"]
    with pytest.raises(SignError, match="expected a key of it to revoke"):
        next_root(before, Change(revoked=["0" * 64], expires=signing.now))
    with pytest.raises(SignError, match=r"expected 1 keys of .* at least, seen 0"):
        next_root(before, Change(revoked=[signing.key.public_key.keyid], expires=signing.now))


def test_every_root_that_workers_follow_has_to_be_there_and_complete(tmp_path: Path) -> None:
    signing, folder = Signing(tmp_path / "keys"), Workspace(tmp_path).tracked / "root"
    signing.change(signers=[])
    signing.change()
    folder.mkdir(parents=True)
    for version, text in signing.roots.items():
        (folder / f"{version}.root.json").write_bytes(text)
    with pytest.raises(SignError, match="expected root 2 signed, seen it lacking 1 more of its own root keys"):
        read_roots(Workspace(tmp_path))
    (folder / "2.root.json").unlink()
    with pytest.raises(SignError, match="expected root 2, which the next one follows, seen none"):
        read_roots(Workspace(tmp_path))
    (folder / "2.root.json").write_bytes(signing.roots[1])
    with pytest.raises(SignError, match="expected root 2 in its file, seen 1"):
        read_roots(Workspace(tmp_path))


def test_a_folder_of_nothing_or_of_another_root_is_not_signed(tmp_path: Path) -> None:
    signing, other = Signing(tmp_path / "keys"), Signing(tmp_path / "other")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(SignError, match="seen no manifest in it"):
        signing.sign(tmp_path / "nothing")
    layout = signing.sign(publish(tmp_path / "layout", CPU))
    before = signing.lists(layout)
    with pytest.raises(SignError, match="expected root 1 as manifests/root has it, seen another"):
        other.sign(layout)
    assert signing.lists(layout) == before
    assert not list((tmp_path / "nothing").iterdir())


def test_a_public_key_whose_private_one_is_elsewhere_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "root.pem"
    keyid = make_key(path).public_key.keyid
    path.rename(tmp_path / "taken offline")
    with pytest.raises(FileExistsError):
        make_key(path)
    assert not path.exists()
    assert read_public(tmp_path / "root.pem.pub").keyid == keyid
    (tmp_path / "root.pem.pub").unlink()
    (tmp_path / "taken offline").rename(path)
    with pytest.raises(FileExistsError):
        make_key(path)
    assert not (tmp_path / "root.pem.pub").exists()


def test_a_key_is_its_owners_alone_and_refused_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key.pem"
    signer = make_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_public(tmp_path / "key.pem.pub").keyid == read_public(path).keyid == signer.public_key.keyid
    with pytest.raises(FileExistsError):
        make_key(path)
    path.chmod(0o644)
    with pytest.raises(SignError, match="its owner alone can read, seen mode 644"):
        read_signer(path)
    path.chmod(0o600)
    path.write_text("secret words")
    with pytest.raises(SignError, match="seen another file") as refused:
        read_signer(path)
    assert "secret words" not in str(refused.value)
    path.write_text(_OF_A_CURVE_THAT_NOBODY_HAS)
    for read in (read_signer, read_public):
        with pytest.raises(SignError, match="seen another file"):
            read(path)
    monkeypatch.delenv("MORPHSTREAM_SIGNING_KEY", raising=False)
    with pytest.raises(SignError, match="set MORPHSTREAM_SIGNING_KEY"):
        publisher_key()


def test_a_signer_that_would_sign_in_vain_is_refused(tmp_path: Path) -> None:
    signing = Signing(tmp_path / "keys")
    layout = publish(tmp_path / "layout", CPU)
    with pytest.raises(SignError, match="expected a publisher's key of root 1"):
        signing.sign(layout, key=signing.root_key)
    signing.sign(layout)
    signing.now -= timedelta(days=1)
    with pytest.raises(SignError, match="set the clock"):
        signing.sign(layout)
    signing.now += timedelta(days=400)
    with pytest.raises(SignError, match="expected a root that is valid today"):
        signing.sign(layout)


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("manifests/archives.json", True),
        ("manifests/models.json", True),
        ("trt_cache/sm89/trt10.14_ort1.24/manifest.json", True),
        ("archives/rtx-cache-sm89.intoto.json", True),
        ("NOTICE", True),
        ("archives/rtx-cache-sm89.tar.zst", False),
        ("metadata/targets.json", False),
        ("trt_cache/sm89/trt10.14_ort1.24/a.engine", False),
        (".gitattributes", False),
    ],
)
def test_documents_are_what_names_everything_else(path: str, *, is_one: bool) -> None:
    assert is_document(path) == is_one
