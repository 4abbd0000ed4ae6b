"""What a fuzzer begins with is taken, and what it was refused before still is, by every reader of files."""

from pathlib import Path

import pytest

from fuzz.seeds import seeds_of
from fuzz.targets import TARGETS

CORPUS = Path(__file__).parents[1] / "fuzz/corpus"


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_refuses_in_its_own_words_what_is_damaged(name: str) -> None:
    damaged = sorted((CORPUS / name).iterdir())
    assert damaged
    for path in damaged:
        assert path.stat().st_size < 4096
        TARGETS[name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_a_refusal_comes_of_what_a_fuzzer_begins_with(name: str) -> None:
    seeds = seeds_of(name)
    assert all(seeds)
    for data in seeds:
        TARGETS[name](data)  # which lets refusals pass, and raises all else
