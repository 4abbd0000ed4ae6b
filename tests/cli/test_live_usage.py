"""What `morphstream live` is told makes sense together, before anything is opened."""

from argparse import Namespace
from pathlib import Path

import pytest

from morphstream.cli.live_options import add_live, check_live, page_options_of, tracking_of
from morphstream.cli.options import Parser
from morphstream.face.track import LIVE_TRACKING
from tests.cli import wrong_usage


def parsed(*words: str) -> Namespace:
    parser = Parser()
    add_live(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param([], "required: source, or --page", id="nobody to put in"),
        pytest.param(["a.png", "--map", "a=left", "--page"], "--map: expected it without --page", id="faces of a page"),
        pytest.param(["--page", "--to", "window"], "--to: expected it without --page", id="an output with a page"),
        pytest.param(["--page", "--smooth", "0"], "--smooth: expected it without", id="tracks with a page"),
        pytest.param(["a.png", "--port", "80"], "--port: expected it with --page", id="a port without a page"),
        pytest.param(["a.png", "--loop"], "--loop: expected --from", id="a camera that begins again"),
        pytest.param(["a.png", "--to", "o.mkv", "--to", "o.mkv"], "once, seen o.mkv twice", id="one output twice"),
        pytest.param(["a.png", "--size", "640"], "such as 1280x720, seen '640'", id="a size"),
        pytest.param(["a.png", "--rate", "0"], "from 1 to 1000, seen '0'", id="a rate"),
        pytest.param(["--page", "--key", "key.pem"], "expected a certificate", id="a key alone"),
        pytest.param(["--page", "--ice-server", "turn:host"], "turn:USER:PASSWORD@HOST", id="a server's form"),
        pytest.param(["--page", "--health", "host:"], "seen 'host:'", id="an address without a port"),
        pytest.param(["--page", "--health", "::1:9300"], "HOST:PORT", id="an address without brackets"),
        pytest.param(["--page", "--health", "70000"], "seen '70000'", id="no port"),
        pytest.param(["a.png", "--map", "bob=left"], "name of one source, of a, seen 'bob'", id="an unknown source"),
        pytest.param(["a.png", "--no-tracking", "--smooth", "1"], "--no-tracking: expected it alone", id="no tracks"),
    ],
)
def test_wrong_usage_is_2(here: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], expected: str) -> None:
    said = wrong_usage(capfd, "live", *arguments)
    assert said.startswith("usage: morphstream live [-h]")
    assert expected in said.splitlines()[-1]


def test_a_token_that_can_be_guessed_is_wrong_usage(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MORPHSTREAM_TOKEN", "secret")
    said = wrong_usage(capfd, "live", "--page")
    assert "expected a token of" in said
    assert "secret" not in said


def test_a_page_is_for_this_machine_and_has_a_token_of_its_own() -> None:
    options = parsed("--page")
    check_live(options)
    page, other = page_options_of(options, ""), page_options_of(options, "")
    assert (page.host, page.visible_mark) == ("127.0.0.1", True)
    assert page.token != other.token
    assert page_options_of(options, token := "a" * 20).token == token


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("9300", ("127.0.0.1", 9300), id="a port"),
        pytest.param("worker:0", ("worker", 0), id="a name"),
        pytest.param("[::1]:9300", ("::1", 9300), id="an address"),
    ],
)
def test_health_is_answered_where_it_is_told(text: str, expected: tuple[str, int]) -> None:
    assert parsed("--page", "--health", text).health == expected


def test_faces_are_looked_for_as_often_as_live_needs() -> None:
    assert tracking_of(parsed("a.png")) == LIVE_TRACKING
    assert tracking_of(parsed("a.png", "--smooth", "0")).smooth == 0
