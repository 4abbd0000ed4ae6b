"""Options of the certificate that pictures and videos are signed with."""

import argparse
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from morphstream.cli.options import UsageError

if TYPE_CHECKING:
    from morphstream.media.credentials import Signing

_log = logging.getLogger("morphstream.c2pa")
CERTIFICATE, KEY = "MORPHSTREAM_C2PA_CERT", "MORPHSTREAM_C2PA_KEY"


def add_signing(parser: argparse.ArgumentParser) -> None:
    """Add ``--c2pa-cert``, ``--c2pa-key``, ``--c2pa-time-stamp`` and ``--no-c2pa``."""
    group = parser.add_argument_group("signing, as C2PA has it")
    text = f"sign what is written with this certificate and those that vouch for it, in PEM ({CERTIFICATE})"
    group.add_argument("--c2pa-cert", type=Path, default=_named(CERTIFICATE), metavar="FILE", help=text)
    text = f"its private key, in PEM ({KEY})"
    group.add_argument("--c2pa-key", type=Path, default=_named(KEY), metavar="FILE", help=text)
    text = "have the time confirmed by an authority at this address (nobody is asked)"
    group.add_argument("--c2pa-time-stamp", metavar="URL", help=text)
    text = "write files unsigned although a certificate is configured"
    group.add_argument("--no-c2pa", action="store_true", help=text)


def signing_of(options: argparse.Namespace) -> "Signing | None":
    """Return what files are signed with; None where no certificate is configured, or that is said not to be used.

    Raises:
        UsageError: One of certificate and key is missing.
        CredentialsError: They aren't fit to sign.
        OSError: They can't be read.
    """
    certificate, key = options.c2pa_cert, options.c2pa_key
    if options.no_c2pa and (certificate or key):
        _log.warning("nothing is signed, as --no-c2pa says, although a certificate is configured")
    if options.no_c2pa or not (certificate or key):
        return None
    if not (certificate and key):
        lacking = "--c2pa-key" if certificate else "--c2pa-cert"
        raise UsageError(f"expected a certificate and its key, seen no {lacking}; name both, or neither")
    from morphstream import __version__
    from morphstream.media.credentials import Signing

    return Signing.read(certificate, key, __version__, options.c2pa_time_stamp)


def _named(variable: str) -> Path | None:
    return Path(text) if (text := os.environ.get(variable)) else None
