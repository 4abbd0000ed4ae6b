"""A shell completes the command line, and ``--quiet`` prints nothing but refusals and what was asked for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import morphstream
from morphstream.artifact.vocabulary import SWAP_MODEL
from morphstream.cli.main import main
from morphstream.store.store import Store
from tests.cli import refusal

SWAP = ("swap", "source.png", "source.png", "-o", "new.png")
ASK = """
COMP_WORDS=(morphstream "$@") COMP_CWORD=$#
$(complete -p morphstream | grep -o '_shtab[a-z_]*')
echo "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ins"], "inspect"),
        (["boot", "--of"], "--offline"),
        (["completion", "z"], "zsh"),
        (["inspect", "no"], "nobody.png"),
        (["swap", "--swap-model", "inswapper_128_"], "inswapper_128_fp16"),
        (["boot", "--target", "cpu-"], "cpu-bf16"),
    ],
    ids=["a command", "an option", "a choice", "a file", "a swap model", "a target"],
)
def test_bash_completes(
    here: Path, booted: Store, capsys: pytest.CaptureFixture[str], words: list[str], expected: str
) -> None:
    assert main(["completion", "bash"]) == 0
    script = f"{capsys.readouterr().out}\n{ASK}"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # its morphstream is asked for names
    environment = {**os.environ, "PATH": path, "MORPHSTREAM_STORE": str(booted.path)}
    command = ["bash", "-c", script, "bash", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.stderr, done.stdout.split()) == ("", [expected])


def test_names_of_models_are_those_of_the_store_and_of_sources_on_this_machine(
    here: Path, published: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    morphstream.boot("small", target="cpu", source=published, groups=["core"])
    monkeypatch.setenv("MORPHSTREAM_STORE", "small")
    for source, expected in (("none", []), (published, ["hyperswap_1a_256", "inswapper_128", SWAP_MODEL])):
        monkeypatch.setenv("MORPHSTREAM_SOURCE", f"hub:nobody/nothing,{source}")
        assert main(["completion", "swap-models", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"swap-models": expected}


def test_a_quiet_swap_prints_nothing(here: Path, booted: Store, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*SWAP, "--store", str(booted.path), "--quiet"]) == 0
    assert (here / "new.png").exists()
    assert capfd.readouterr() == ("", "")


def test_a_quiet_command_still_refuses_and_answers(
    here: Path, booted: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    store = str(booted.path)
    assert "no_such.png" in refusal(
        capfd, "swap", "no_such.png", "group.jpg", "-o", "new.png", "--quiet", "--store", store
    )
    assert main(["doctor", "--quiet", "--store", store]) == 0
    assert capfd.readouterr().out.startswith("machine")
