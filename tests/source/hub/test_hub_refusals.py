"""A refusal of the Hub has no token, no password and no signature in it, whatever the other side repeats."""

import pytest

from morphstream.source.hub.refusals import shortened


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("token hf_abcdefghij is bad", "token *** is bad", id="any token of the Hub"),
        pytest.param("Authorization: Bearer s3cr3t!", "Authorization: Bearer ***", id="a bearer"),
        pytest.param("own-words", "***", id="the token in use, whatever it looks like"),
        pytest.param(
            "GET https://cdn/a?X-Signature=1&b=2 failed", "GET https://cdn/a?*** failed", id="a signed address"
        ),
        pytest.param("http://user:word@proxy:80 is down", "http://***@proxy:80 is down", id="a proxy's password"),
    ],
)
def test_secrets_are_removed(text: str, expected: str) -> None:
    assert shortened(text, "own-words") == expected


def test_a_long_message_is_one_line_of_a_bounded_length() -> None:
    line = shortened("a\r\nb\x1b[31m " + "c" * 500, None)
    assert line.startswith("a b [31m ccc")
    assert len(line) == 200
