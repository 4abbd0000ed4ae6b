"""Tokens of today's kinds are found in any surrounding and encoding, and the line is named, not the token."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.stages import ROOT
from tests.stages.tokens import ENCODINGS, JOINED, TOKENS, encoded, some

KINDS = ("GitHub, fine-grained", "GitHub", "Google", "AWS, the name", "Anthropic", "OpenAI", "the Hub")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_tokens_are_found_in_any_surrounding_and_encoding(reason: Callable[..., str | None], encoding: str) -> None:
    found = {kind: reason(ENCODINGS[encoding](token)) for kind, token in TOKENS.items()}
    assert [kind for kind, words in found.items() if not words] == []
    assert not any(token[4:] in str(found[kind]) for kind, token in TOKENS.items())


@pytest.mark.parametrize("encoding", JOINED)
def test_tokens_in_parts_are_found(reason: Callable[..., str | None], encoding: str) -> None:
    assert [kind for kind in KINDS if not reason(JOINED[encoding](TOKENS[kind]))] == []


def test_tokens_are_found_between_any_letters_but_those_of_a_word(reason: Callable[..., str | None]) -> None:
    befores = ["", *"\t '\"`([{<>=:;,.!?#$%&*+-/@\\^_|~é", "\\n", "%20", "Bearer ", "u=a%3D", "\x00"]
    missed = [
        (before, kind)
        for before in befores
        for kind in KINDS
        if not reason(f"{before}{TOKENS[kind]}{'' if before[:1].isalnum() else before}".encode())
    ]
    assert missed == []


def test_tokens_are_found_behind_letters_that_belong_elsewhere(reason: Callable[..., str | None]) -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE users (name, token)")
        for kind in KINDS:
            database.execute("INSERT INTO users VALUES ('alice', ?)", (TOKENS[kind],))
            assert reason(database.serialize()), kind
            database.execute("DELETE FROM users")
    assert [kind for kind in KINDS if not reason(f"my{TOKENS[kind]}".encode())] == []
    assert reason(f"{'aB3_' * 10}a{TOKENS['the Hub']}".encode()) is None  # such is noise in letters


def test_the_line_is_named_in_which_it_is(reason: Callable[..., str | None]) -> None:
    token, hidden = "hf_" + some(34), encoded("glpat-" + some(20)).decode()
    assert reason(f"a\nb\n{token}\n".encode()) == "a token of the Hub in line 3"
    assert reason(f"a\nb\nc\nx = '{hidden}'\n".encode()) == "betterleaks.gitlab-pat in line 4"
    assert reason(f"a\r\nb\r\n{token}\r\n".encode("utf-16")) == "a token of the Hub in line 3"


@pytest.mark.network
def test_the_rules_are_the_newest_that_there_are() -> None:
    package = "kingfisher-secret-scanner"
    command = [sys.executable, "-m", "pip", "index", "versions", package]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    newest = done.stdout.split("(")[1].split(")")[0]
    (pinned,) = re.findall(
        rf"^{package}==(\S+)", (ROOT / "requirements/pipeline.lock").read_text("utf-8"), re.MULTILINE
    )
    assert pinned == newest, f"upgrade {package} in requirements/"
