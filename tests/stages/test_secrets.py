"""Files of secrets are known by name, keys in DER and PEM, and what is packed in others; what was reviewed passes."""

import base64
import bz2
import gzip
import hashlib
import io
import json
import lzma
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)

from morphstream.artifact.errors import MorphstreamError
from stages.publish.secrets import REVIEWED, Secrets
from tests.stages import DOWNLOADS
from tests.stages.tokens import TOKENS, encoded, some

RULES = DOWNLOADS / "secret_rules"
PEM = "-----BEGIN {}PRIVATE " + "KEY-----"


def keys() -> dict[str, bytes]:
    """Return private keys in DER, and in OpenSSH's form without its frame."""
    plain, locked = NoEncryption(), BestAvailableEncryption(b"made up")
    large, curve = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
    small = ed25519.Ed25519PrivateKey.generate()
    ssh = small.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, plain)
    return {
        "RSA": large.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, plain),
        "RSA, PKCS 8": large.private_bytes(Encoding.DER, PrivateFormat.PKCS8, plain),
        "RSA, encrypted": large.private_bytes(Encoding.DER, PrivateFormat.PKCS8, locked),
        "curve": curve.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, plain),
        "curve, PKCS 8": curve.private_bytes(Encoding.DER, PrivateFormat.PKCS8, plain),
        "Ed25519": small.private_bytes(Encoding.DER, PrivateFormat.PKCS8, plain),
        "PKCS 12": pkcs12.serialize_key_and_certificates(b"made up", large, None, None, locked),
        "OpenSSH": base64.b64decode(b"".join(ssh.splitlines()[1:-1])),
    }


def test_private_keys_are_found_in_der_and_in_what_holds_it(reason: Callable[..., str | None]) -> None:
    for kind, key in keys().items():
        for how, data in {
            "alone": key,
            "in a binary": b"\0" * 99 + key + b"\xff" * 99,
            "base64": base64.b64encode(key),
            "wrapped": b"key: |\n" + b"".join(b"  " + line + b"\n" for line in base64.encodebytes(key).split()),
            "hexadecimal": key.hex().encode(),
        }.items():
            assert reason(data), f"{kind}, {how}"


def test_public_keys_and_certificates_are_no_secret(reason: Callable[..., str | None]) -> None:
    public = rsa.generate_private_key(65537, 2048).public_key()
    for encoding, form in (
        (Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        (Encoding.DER, PublicFormat.PKCS1),
        (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        (Encoding.OpenSSH, PublicFormat.OpenSSH),
    ):
        assert reason(public.public_bytes(encoding, form)) is None


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED "])
def test_private_keys_are_found_in_pem(reason: Callable[..., str | None], kind: str) -> None:
    pem = PEM.format(kind) + f"\n{some(64)}\n"
    assert reason(pem.encode()) == "a private key in line 1"
    assert reason(json.dumps({"private_key": pem}).encode())
    assert reason(encoded(pem))


@pytest.mark.parametrize(
    "name",
    [
        *(".env", ".ENV", ".env.local", "prod.env", ".envrc", "token.txt", "hf_token", "terraform.tfstate"),
        *("a.tfstate.backup", "prod.tfvars", ".docker/config.json", ".netrc", "_netrc", ".npmrc", ".pypirc", "tls.key"),
        *(
            "tls.pem",
            "tls.key.bak",
            ".env~",
            "token.txt.old",
            "ssl_private_key",
            "key.p12",
            "key.ppk",
            "id_ed25519",
            ".pgpass",
            ".git-credentials",
            ".vault-token",
            ".dockercfg",
        ),
        *(".aws/credentials", "credentials.json", "client_secret_1.json", "kubeconfig", ".ssh/known", "api_key.txt"),
        *("application_default_credentials.json", "my-service-account.json", "secrets.yaml", ".bash_history"),
    ],
)
def test_files_that_hold_secrets_are_known_by_name(reason: Callable[..., str | None], name: str) -> None:
    assert reason(b"harmless", name) == "by its name"


def test_a_settings_file_of_docker_is_known_by_what_is_in_it(reason: Callable[..., str | None]) -> None:
    auths = {"auths": {"registry.example": {"auth": encoded("me:made-up").decode()}}}
    assert reason(json.dumps(auths, indent=2).encode(), "config.json") == "a password in Docker's settings in line 2"
    assert reason(json.dumps({"auths": {}, "credsStore": "pass"}).encode(), "config.json") is None


@pytest.mark.parametrize(
    ("name", "data"),
    [
        (".env.example", b"HF_TOKEN=\n"),
        ("token.py", b"def token(): ...\n"),
        ("config.json", b'{"hidden_size": 768, "model_type": "bert", "auth": "none"}'),
        ("tokens.txt", b"a\nb\n"),
        ("tokenizer.json", b'{"token": "[CLS]"}'),
        ("main.py", b"from huggingface_hub import hf_hub_download, hf_raise_for_status\nhf_hub_download(\n"),
        ("main.py", b'url = f"https://{user}:{password}@{host}/"\nurl = "https://$USER:$PASS@host/"\n'),
        ("main.py", b'token = os.environ["HF_TOKEN"]\n"sha256-" + "0123456789abcdef" * 4\n'),
        ("main.py", b"key = 'hf_" + b"Ab3" * 12 + b"'  # pragma: allowlist secret\n"),
        pytest.param("noise.bin", random.Random(0).randbytes(30_000), id="noise"),
        pytest.param("noise.b64", base64.encodebytes(random.Random(1).randbytes(30_000)), id="noise in base64"),
        pytest.param("noise.hex", random.Random(2).randbytes(15_000).hex().encode(), id="noise in hexadecimal"),
    ],
)
def test_what_is_none_is_not_taken_for_one(reason: Callable[..., str | None], name: str, data: bytes) -> None:
    assert reason(data, name) is None


def zipped(name: str, data: bytes) -> bytes:
    with zipfile.ZipFile(written := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return written.getvalue()


def tarred(name: str, data: bytes) -> bytes:
    with tarfile.open(fileobj=(written := io.BytesIO()), mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return written.getvalue()


PACKED: dict[str, Callable[[str, bytes], bytes]] = {
    "a.zip": zipped,
    "a.whl": zipped,
    "zip": zipped,
    "two.zip": lambda name, data: zipped("in.zip", zipped(name, data)),
    "a.tar": tarred,
    "a.tar.gz": lambda name, data: gzip.compress(tarred(name, data)),
    "a.tgz": lambda name, data: gzip.compress(tarred(name, data)),
    "a.tar.bz2": lambda name, data: bz2.compress(tarred(name, data)),
    "a.tar.xz": lambda name, data: lzma.compress(tarred(name, data)),
    "a.tar.zst": lambda name, data: zstandard.compress(tarred(name, data)),
}

COMPRESSED: dict[str, Callable[[bytes], bytes]] = {"bz2": bz2.compress, "xz": lzma.compress, "zst": zstandard.compress}


@pytest.mark.parametrize("name", PACKED)
def test_what_is_packed_is_searched_with_its_names(reason: Callable[..., str | None], name: str) -> None:
    pack = PACKED[name]
    assert reason(pack("a/notes.txt", ("x\nhf_" + some(34)).encode()), name)
    assert str(reason(pack("a/.env", b"A=1"), name)).startswith("by its name, of ")
    assert reason(pack("a/notes.txt", b"harmless"), name) is None


@pytest.mark.parametrize("name", COMPRESSED)
def test_a_packed_file_needs_no_ending(reason: Callable[..., str | None], name: str) -> None:
    assert reason(COMPRESSED[name](("hf_" + some(34)).encode()), "data")


@pytest.mark.parametrize("name", ["a.zip", "a.gz", "a.tar.xz", "a.zst", "a"])
def test_a_damaged_archive_is_searched_as_it_is(reason: Callable[..., str | None], name: str) -> None:
    for magic in (b"PK\x03\x04", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"):
        assert reason(magic + b"no such thing", name) is None
        assert reason(magic + f" hf_{some(34)}".encode(), name)


def test_more_than_can_be_searched_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.publish.secrets.MOST_BYTES", 1 << 20)
    for name, data in {
        "a.zip": zipped("a", bytes(2 << 20)),
        "a.gz": gzip.compress(bytes(2 << 20)),
        "a.zst": zstandard.compress(bytes(2 << 20)),
    }.items():
        (tmp_path / name).write_bytes(data)
        assert Secrets(tmp_path, RULES).reason(name) == "more packed in it than the 1 MiB that are searched"
    (tmp_path / "large").write_bytes(bytes(2 << 20))
    assert Secrets(tmp_path, RULES).reason("large") == "more than the 1 MiB that are searched"


def test_a_reviewed_file_passes_until_it_changes(tmp_path: Path) -> None:
    texts = {"tests/key.pem": "x", "notes.txt": TOKENS["GitHub"], ".env": "A=1"}
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    lines = [f"{hashlib.sha256(text.encode()).hexdigest()}  {name}" for name, text in texts.items()]
    (tmp_path / REVIEWED).write_text("# seen by me\n\n" + "\n".join(lines).replace("  .env", " *./.env") + "\n")
    secrets = Secrets(tmp_path, RULES)
    assert [secrets.reason(name) for name in (*texts, REVIEWED)] == [None] * 4
    (tmp_path / "notes.txt").write_text(TOKENS["GitHub"] + "\n")
    assert secrets.reason("notes.txt") == "a token of GitHub in line 1, and changed since its review"
    (tmp_path / "other.txt").write_text(TOKENS["GitHub"])  # the same bytes elsewhere weren't reviewed
    assert secrets.reason("other.txt") == "a token of GitHub in line 1"


def test_a_list_of_reviewed_files_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / REVIEWED).write_text(f"{'0' * 64}  a\nnotes.txt\n")
    with pytest.raises(MorphstreamError, match="as sha256sum prints them, seen another text in line 2; correct it"):
        Secrets(tmp_path, RULES)
