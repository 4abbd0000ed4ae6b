"""A hub is asked over IPv6, behind a mirror or without a part of its API, and what is wrong there is named."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import close_session

from morphstream.artifact.errors import FetchError
from tests.loopback.server import READ_TOKEN
from tests.source.hub.answering import (
    INFO,
    NAME,
    SHA,
    Answer,
    Answering,
    Ask,
    answering,
    both,
    serving,
)


@pytest.fixture(autouse=True)
def no_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the user's is in the environment."""
    for name in ("http_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN", READ_TOKEN)
    close_session()


class AnsweringOverIPv6(Answering):
    """A hub that has no address of the older kind."""

    address_family = socket.AF_INET6

    def __init__(self, answer: Callable[[str, tuple[int, int] | None], Answer]) -> None:
        super().__init__(answer, "::1")

    @property
    def endpoint(self) -> str:
        """The address of the hub."""
        return f"http://[::1]:{self.server_port}"


@both
@pytest.mark.parametrize("direct", ["", "::1", "[::1]", "::/64", "fe80::1,0::1/128"])
def test_ipv6_alone_is_enough(ask: Ask, direct: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if direct:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("no_proxy", direct)
    with AnsweringOverIPv6(lambda *_: (200, {}, INFO)) as server, serving(server):
        assert ask(server.endpoint) == SHA
        assert server.asked[0][2] == f"Bearer {READ_TOKEN}"


@both
@pytest.mark.parametrize("direct", ["127.0.0.0/8", "10.0.0.0/8, 127.0.0.1/32", "127.0.0.1"])
def test_a_network_of_no_proxy_is_asked_itself(ask: Ask, direct: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", direct)
    with answering(lambda *_: (200, {}, INFO)) as server:
        assert ask(server.endpoint) == SHA


@both
@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_mirror_that_redirects_is_named_and_no_token_follows(ask: Ask, status: int) -> None:
    with (
        answering(lambda *_: (status, {}, b"")) as other,
        answering(lambda path, _: (308, {"Location": f"http://localhost:{other.server_port}{path}"}, b"")) as mirror,
    ):
        with pytest.raises(FetchError) as refused:
            ask(mirror.endpoint)
        assert {authorization for _, _, authorization in other.asked} == {""}
    line = str(refused.value)
    assert f", seen {status} from localhost, to which 127.0.0.1 redirects; " in line
    assert ("no token, name it as HF_ENDPOINT if" in line) == (status != 500)


@both
@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_without_a_part_of_the_hub_is_named_for_it(ask: Ask, status: int) -> None:
    with answering(lambda *_: (status, {}, b"<html>")) as server, pytest.raises(FetchError) as refused:
        ask(server.endpoint)
    line = str(refused.value)
    assert f"/api/models/{NAME}/revision/main, seen {status}; see HF_ENDPOINT, whose server lacks it, or the" in line


@both
def test_a_pipe_in_the_place_of_a_token_is_not_waited_for(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    os.mkfifo(tmp_path / "token")
    with pytest.raises(OSError, match=r"hub: expected a token, or none, seen a pipe of .*; set HF_TOKEN, or HF_HOME"):
        ask("http://127.0.0.1:9")


@both
@pytest.mark.parametrize("token", ["hf_ä", "hf_a b", "hf_\u2028b", "hf_a\x00b"])
def test_a_token_with_odd_letters_is_named_and_not_shown(
    ask: Ask, token: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    home = tmp_path / "home"
    home.mkdir()
    (home / "token").write_text(token)
    monkeypatch.setenv("HF_HOME", str(home))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(home / "token"))
    with pytest.raises((FetchError, ValueError)) as refused:
        ask("http://127.0.0.1:9")
    expected = "expected a token of visible characters, seen others in it; see HF_TOKEN, or `hf auth login`"
    assert str(refused.value) == f"hub {NAME}: {expected}"
