"""The environment means offline by the words of the Hub's own client."""

import pytest
from huggingface_hub import constants

from morphstream.source.named import is_offline


@pytest.mark.parametrize("value", ["1", "true", "True", "yes", "ON", "0", "false", "no", "off", "", "2", " 1"])
@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_it_is_read_as_the_client_reads_it(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(each, raising=False)
    assert not is_offline()
    monkeypatch.setenv(name, value)
    assert is_offline() == constants._is_true(value)


def test_the_hub_s_own_word_counts_before_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "1")
    assert not is_offline()
