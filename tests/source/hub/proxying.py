"""A proxy on loopback, which leads every host to one server, and a certificate for a host of the tests."""

import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.source.hub.answering import serving

HOST = "hub.test"  # which no name server knows


class Proxying(ThreadingHTTPServer):
    """A proxy that leads to a port of this machine, or refuses with a status.

    Attributes:
        to: The port.
        status: Of the refusal; 0 for none.
        asked: Method, target and headers of each request for `HOST`; a library in this process may ask for others.
    """

    daemon_threads, block_on_close = True, False

    def __init__(self, to: int, status: int) -> None:
        super().__init__(("127.0.0.1", 0), Proxied)
        self.to, self.status = to, status
        self.asked = list[tuple[str, str, dict[str, str]]]()

    @property
    def address(self) -> str:
        """The host and the port."""
        return f"127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that have hung up."""


class Proxied(BaseHTTPRequestHandler):
    """One connection to it."""

    protocol_version = "HTTP/1.1"
    server: Proxying

    def do_CONNECT(self) -> None:
        """Lead bytes both ways."""
        if self._refuses():
            return
        self.send_response_only(200)
        self.end_headers()
        with socket.create_connection(("127.0.0.1", self.server.to)) as other:
            back = threading.Thread(target=_pump, args=(other, self.connection), daemon=True)
            back.start()
            _pump(self.connection, other)
            back.join()
        self.close_connection = True

    def do_GET(self) -> None:
        """Ask the server for the path of a whole address."""
        if self._refuses():
            return
        headers = {name: value for name, value in self.headers.items() if not name.lower().startswith("proxy-")}
        with closing(HTTPConnection("127.0.0.1", self.server.to)) as connection:
            connection.request("GET", f"/{self.path.split('/', 3)[3]}", None, headers)
            with connection.getresponse() as answer:
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.read())

    def _refuses(self) -> bool:
        if HOST not in self.path:
            self.send_error(403)
            return True
        headers = {name.title(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, headers))
        if status := self.server.status:
            authorization = self.headers.get("Proxy-Authorization", "")
            self.send_response_only(status, f"no {authorization}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        return bool(status)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxying(to: int, status: int = 0) -> Iterator[Proxying]:
    """Serve until the block ends."""
    with Proxying(to, status) as server, serving(server):
        yield server


def certificate(folder: Path, *, host: str = HOST, days: tuple[int, int] = (-1, 1)) -> Path:
    """Write a certificate of a host that it signed itself, and its key, into one file; valid between two days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, *form) + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def secured(server: ThreadingHTTPServer, path: Path) -> None:
    """Have a server speak TLS, with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
