"""The environment's proxy leads to the Hub, keeps its own password and never sees the token; its faults are its own."""

import re
from pathlib import Path

import pytest

from morphstream.artifact.errors import FetchError
from morphstream.source.hub import HubSource
from tests.loopback.server import READ_TOKEN
from tests.source.hub.answering import DATA, NAME, QUICK, SHA, answering, fetched, ranged
from tests.source.hub.proxying import HOST, certificate, proxying, secured

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
BASIC = "Basic dXNlcjpwQHNz"  # user:p@ss


@pytest.fixture(autouse=True)
def no_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the user's is in the environment."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def source(scheme: str = "http") -> HubSource:
    return HubSource(NAME, SHA, endpoint=f"{scheme}://{HOST}", token=READ_TOKEN, **QUICK)


def refusal(scheme: str = "http") -> str:
    """Return the one line that refuses a file."""
    with pytest.raises(FetchError) as refused:
        source(scheme).read("manifests/a.json")
    line = str(refused.value)
    assert re.fullmatch(rf"hub {NAME}@{SHA} manifests/a\.json: expected .+, seen .+; .+", line)
    assert not any(secret in line for secret in (READ_TOKEN, "p@ss", "p%40ss", "dXNlcj", "user:"))
    return line


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_plain_http_is_asked_for_by_whole_addresses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(lambda _, wanted: ranged(DATA, wanted)) as server, proxying(server.server_port) as proxy:
        monkeypatch.setenv(name, f"http://user:p%40ss@{proxy.address}")
        assert fetched(source()) == DATA
        assert {(method, target.partition(HOST)[0]) for method, target, _ in proxy.asked} == {("GET", "http://")}
        assert {headers["Host"] for _, _, headers in proxy.asked} == {HOST}
        assert {headers["Proxy-Authorization"] for _, _, headers in proxy.asked} == {BASIC}


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy"])
def test_https_goes_through_a_tunnel_and_the_token_inside(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with answering(lambda _, wanted: ranged(DATA, wanted)) as server, proxying(server.server_port) as proxy:
        secured(server, path)
        monkeypatch.setenv(name, f"user:p%40ss@{proxy.address}")
        assert fetched(source("https")) == DATA
        assert 1 <= len(proxy.asked) <= 4  # a tunnel is used again
        for method, target, headers in proxy.asked:
            assert (method, target) == ("CONNECT", f"{HOST}:443")
            assert headers["Proxy-Authorization"] == BASIC
            assert "Authorization" not in headers
        assert {authorization for _, _, authorization in server.asked} == {f"Bearer {READ_TOKEN}"}


def test_a_certificate_that_nobody_knows_is_not_the_proxy_s_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(lambda _, wanted: ranged(DATA, wanted)) as server, proxying(server.server_port) as proxy:
        secured(server, certificate(tmp_path))
        monkeypatch.setenv("https_proxy", proxy.address)
        line = refusal("https")
        assert "seen none (hub.test: [SSL: CERTIFICATE_VERIFY_FAILED]" in line
        assert "; set SSL_CERT_FILE or REQUESTS_CA_BUNDLE to " in line
        assert len(proxy.asked) == 1


@pytest.mark.parametrize("value", ["*", "127.0.0.1", "localhost, 127.0.0.1"])
def test_a_host_of_no_proxy_is_asked_itself(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(lambda _, wanted: ranged(DATA, wanted)) as server:
        monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:9")
        monkeypatch.setenv("no_proxy", value)
        assert fetched(HubSource(NAME, SHA, endpoint=server.endpoint, **QUICK)) == DATA


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("status", "asked", "remedy"),
    [
        pytest.param(407, 1, "name its user and password there", id="who are you"),
        pytest.param(502, 5, "ask who runs it", id="nobody behind it"),
    ],
)
def test_a_proxy_s_refusal_is_its_own(
    scheme: str, status: int, asked: int, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxying(9, status) as proxy:
        monkeypatch.setenv("all_proxy", f"http://user:p%40ss@{proxy.address}")
        line = f"expected an answer through the proxy {proxy.address}, seen {status}; {remedy}, see http_proxy"
        assert line in refusal(scheme)
        assert len(proxy.asked) == asked


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_down_is_named(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "http://user:p%40ss@127.0.0.1:9")
    assert "an answer through the proxy 127.0.0.1:9, seen Connection refused; ask who runs it" in refusal(scheme)


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("socks5://user:p%40ss@127.0.0.1:9", "one of socks5"),
        ("https://127.0.0.1:9", "one of https"),
        ("http://user:p@ss@", "another form"),
        ("http://127.0.0.1:0", "another form"),
        ("http://127.0.0.1:65536", "another form"),
        ("http://127.0.0.1:9/path", "another form"),
        ("http://[::1", "another form"),
        ("http://a..b:9", "another form"),
        ("http://a b:9", "another form"),
    ],
)
def test_what_is_no_proxy_over_http_is_refused(value: str, seen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", value)
    line = f"expected a proxy as http://host:port, seen {seen}; see http_proxy, all_proxy and no_proxy"
    assert refusal().endswith(line)
