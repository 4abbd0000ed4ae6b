"""Certificates are trusted as the environment says, by the runtime and the pipeline's client alike."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import close_session

from morphstream.artifact.errors import FetchError
from tests.source.hub.answering import INFO, NAME, SHA, Ask, answering, both
from tests.source.hub.proxying import certificate, secured

VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No certificate and no proxy of the user's is in the environment."""
    for name in (*VARIABLES, "http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    close_session()  # a process reads them once


def serving_over_tls(path: Path) -> Iterator[str]:
    with answering(lambda *_: (200, {}, INFO)) as server:
        secured(server, path)
        yield server.endpoint.replace("http://127.0.0.1", "https://localhost")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A certificate that nobody knows."""
    return certificate(tmp_path, host="localhost")


@pytest.fixture
def endpoint(path: Path) -> Iterator[str]:
    """A hub that has it."""
    yield from serving_over_tls(path)


def refusal(ask: Ask, endpoint: str) -> str:
    with pytest.raises(FetchError) as refused:
        ask(endpoint)
    line = str(refused.value)
    assert re.fullmatch(rf"(hub )?{NAME}@main: expected .+, seen .+; .+", line)
    return line


@both
@pytest.mark.parametrize("name", [name for name in VARIABLES if name != "SSL_CERT_DIR"])
def test_a_file_that_is_named_is_trusted(
    ask: Ask, name: str, path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, str(path))
    assert ask(endpoint) == SHA


@both
@pytest.mark.parametrize("name", ["SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"])
def test_a_folder_that_is_named_is_trusted(
    ask: Ask, name: str, path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, str(path.parent))
    hashed = subprocess.run(
        ["openssl", "x509", "-noout", "-hash", "-in", path], capture_output=True, text=True, check=True
    )
    path.with_name(f"{hashed.stdout.strip()}.0").write_bytes(path.read_bytes())
    assert ask(endpoint) == SHA


@both
@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize(
    ("made", "seen"),
    [
        pytest.param(lambda _: None, "No such file or directory", id="nothing"),
        pytest.param(os.mkfifo, "no regular file", id="a pipe"),
        pytest.param(lambda path: path.write_text("words"), "none in it", id="words"),
    ],
)
def test_what_is_named_and_is_none_is_refused_by_both_names(
    ask: Ask,
    name: str,
    made: Callable[[Path], object],
    seen: str,
    endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    made(tmp_path / "odd.pem")
    monkeypatch.setenv(name, str(tmp_path / "odd.pem"))
    expected = f"expected certificates in {tmp_path}/odd.pem, as {name} says, seen {seen}; correct {name}"
    assert refusal(ask, endpoint).endswith(expected)


@both
def test_an_unknown_one_is_refused_once_with_what_to_set(ask: Ask, endpoint: str) -> None:
    line = refusal(ask, endpoint)
    assert "expected a certificate to trust, seen none (localhost: [SSL: CERTIFICATE_VERIFY_FAILED]" in line
    assert line.endswith("; set SSL_CERT_FILE or REQUESTS_CA_BUNDLE to a file with its issuer's certificate")


@both
@pytest.mark.parametrize("days", [(1, 2), (-2, -1)], ids=["tomorrow", "yesterday"])
def test_one_of_another_time_names_this_machine_s_clock(
    ask: Ask, days: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path, host="localhost", days=days)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    for endpoint in serving_over_tls(path):
        found = re.search(r"; correct this machine's clock, which says [0-9: -]{16} UTC, or ", refusal(ask, endpoint))
        assert found


@both
def test_one_of_another_host_is_no_matter_of_trust(
    ask: Ask, path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    line = refusal(ask, endpoint.replace("localhost", "127.0.0.1"))
    assert line.endswith("; name the host that it is for, see HF_ENDPOINT")
