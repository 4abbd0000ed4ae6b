"""Wrong usage exits 2 where the arguments are read, bugs keep their traceback, and nothing heavy is loaded in vain."""

from pathlib import Path

import pytest

import morphstream
from morphstream.cli.main import main
from tests.cli import OLD, SWAP, python, wrong_usage

SWAPPED = ("swap", *SWAP[:2], "-o", "out.png")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param([], "required: command", id="no command"),
        pytest.param(["swop"], "invalid choice: 'swop'", id="an unknown command"),
        pytest.param(["swap", "source.png", "group.jpg"], "required: -o/--output", id="no output"),
        pytest.param(["swap", "source.png", "-o", "out.png"], "required: target", id="no target"),
        pytest.param(["swap", *SWAP[:2], "-o", "out.png", "--fast"], "unrecognized arguments: --fast", id="an option"),
        pytest.param([*SWAPPED, "--masks", "box,hair"], "or own, seen hair", id="a mask"),
        pytest.param([*SWAPPED, "--masks", ""], "or own, seen none", id="no mask"),
        pytest.param([*SWAPPED, "--feather", "0.9"], "seen 0.9", id="a feather"),
        pytest.param([*SWAPPED, "--occluder", "xseg_4"], "seen 'xseg_4'", id="an occluder"),
        pytest.param([*SWAPPED, "--regions", "skin,toe"], "seen toe", id="a region"),
        pytest.param(["boot", "--target", "banana"], "seen 'banana'", id="a target of another form"),
        pytest.param(["boot", "--source", "hub:models"], "seen 'models'", id="a repository without an organisation"),
        pytest.param([*SWAPPED, "--threads", "-1"], "expected a number of 0 or more", id="fewer than no threads"),
        pytest.param(["boot", "--groups", "core,ba nana"], "seen 'ba nana'", id="a group"),
        pytest.param(["boot", "--contribute", "some/models"], "expected --build", id="nothing built to contribute"),
        pytest.param(["download", "xseg_1", "--budget", "2 GB"], "seen '2 GB'", id="a budget"),
        pytest.param(["deploy", "develop", "--into", "app", "--timeout", "0"], "seen 0", id="no time for a check"),
        pytest.param(["deploy", "develop", "--into", "app", "--check", "a 'b"], "No closing quotation", id="a check"),
        pytest.param(["serve-health", "--port", "65536"], "seen '65536'", id="a port"),
    ],
)
def test_wrong_usage_is_2(
    here: Path,
    published: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: str,
) -> None:
    monkeypatch.setenv("MORPHSTREAM_SOURCE", str(published))
    said = wrong_usage(capfd, *arguments)
    assert said.startswith("usage: morphstream")
    assert expected in said.splitlines()[-1]
    assert (here / "out.png").read_bytes() == OLD


def test_a_list_of_no_sources_is_wrong_usage(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MORPHSTREAM_SOURCE", ",")
    assert "expected a folder or hub:ORG/REPO[@REV], seen ','" in wrong_usage(
        capfd, "deploy", "develop", "--into", "app"
    )


def test_an_interrupt_ends_a_command_in_silence(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("morphstream.cli.boot.boot", interrupt)
    assert main(["boot"]) == 130
    assert capfd.readouterr() == ("", "")


def test_a_bug_keeps_its_traceback(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: object, **__: object) -> None:
        raise ValueError("a bug of ours")

    monkeypatch.setattr("morphstream.cli.boot.boot", stumble)
    with pytest.raises(ValueError, match="a bug of ours"):
        main(["boot"])


def test_help_names_the_commands() -> None:
    done = python("-m", "morphstream", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "{boot,download,swap,doctor,serve-health,deploy}" in done.stdout


@pytest.mark.parametrize("module", ["morphstream", "morphstream.__main__"])
def test_importing_the_package_loads_nothing_heavy(module: str) -> None:
    heavy = "{'numpy', 'cv2', 'openvino', 'onnxruntime', 'onnx', 'stages'}"
    done = python("-c", f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))")
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_the_package_gives_its_names_when_they_are_used() -> None:
    code = "import morphstream; print([name for name in morphstream.__all__ if getattr(morphstream, name)])"
    done = python("-c", code)
    assert done.stdout == f"{morphstream.__all__}\n", done.stderr
    assert {"DirectSCRFD", "DirectArcFace", "DirectFan685", "Landmark68Detector"} < set(morphstream.__all__)
    done = python("-c", "import morphstream; morphstream.ModelZoo")
    assert "module 'morphstream' has no attribute 'ModelZoo'" in done.stderr
