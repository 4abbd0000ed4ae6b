"""Whose certificates are trusted: those in the files and folders that the environment names, else this machine's.

Source: OpenSSL for SSL_CERT_FILE and SSL_CERT_DIR, requests and curl for the other two.
"""

import os
import ssl
from pathlib import Path

from morphstream.source.hub.attempt import AttemptError, TimedTLS

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_VARIABLES = (*_BUNDLES, "SSL_CERT_FILE", "SSL_CERT_DIR")


def trusting_context() -> ssl.SSLContext:
    """Return what opens connections over TLS; raises AttemptError where a variable names no certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = TimedTLS
    named = [(name, os.environ[name]) for name in _VARIABLES if os.environ.get(name)]
    for name, value in named:
        for path in value.split(os.pathsep) if name == "SSL_CERT_DIR" else [value]:
            _load(context, name, Path(path))
    if not any(name in _BUNDLES for name, _ in named):
        context.load_default_certs()  # after it is certain that OpenSSL can read what is named
    return context


def _load(context: ssl.SSLContext, name: str, path: Path) -> None:
    """Trust the certificates of a file or a folder."""
    try:
        if path.is_dir():
            context.load_verify_locations(capath=path)
            return
        path.stat()
        if path.is_file():  # and no pipe, which may never end
            context.load_verify_locations(cafile=path)
            return
        seen = "no regular file"
    except ssl.SSLError:
        seen = "none in it"
    except OSError as error:
        seen = error.strerror or "none"
    raise AttemptError(f"certificates in {path}, as {name} says", seen, f"correct {name}", wait_s=None)
