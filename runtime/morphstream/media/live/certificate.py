"""Make the certificate of a WebRTC stream that FFmpeg sends.

What FFmpeg with GnuTLS makes by itself is on a curve that OpenSSL and browsers refuse: findings/gnutls_webrtc_curve.sh.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from morphstream.artifact.errors import VideoError


def check_certificates() -> None:
    """Check that certificates can be made.

    Raises:
        VideoError: A library lacks.
    """
    if find_spec("cryptography") is None:
        raise VideoError("WHIP: expected cryptography, seen none; install morphstream[live]")


@contextmanager
def certificate_options() -> Iterator[dict[str, str]]:
    """Yield FFmpeg's options that name a new certificate and its key, which are removed at the end."""
    from cryptography import x509  # of an extra
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "morphstream")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    with TemporaryDirectory() as folder:  # which others can't read
        certificate, secret = Path(folder, "certificate.pem"), Path(folder, "key.pem")
        certificate.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(pem))
        secret.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        yield {"cert_file": str(certificate), "key_file": str(secret)}
