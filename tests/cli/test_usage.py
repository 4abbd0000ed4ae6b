"""Wrong usage exits 2 where the arguments are read, bugs keep their traceback, and nothing heavy is loaded in vain."""

import re
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
        pytest.param([*SWAPPED, "--feather", "0.9"], "seen '0.9'", id="a feather"),
        pytest.param([*SWAPPED, "--occluder", "xseg_4"], "seen 'xseg_4'", id="an occluder"),
        pytest.param([*SWAPPED, "--regions", "skin,toe"], "seen toe", id="a region"),
        pytest.param(["boot", "--target", "banana"], "seen 'banana'", id="a target of another form"),
        pytest.param(["boot", "--source", "hub:models"], "seen 'models'", id="a repository without an organisation"),
        pytest.param(
            [*SWAPPED, "--threads", "-1"],
            "expected a whole number from 0 to 1024, seen '-1'",
            id="fewer than no threads",
        ),
        pytest.param([*SWAPPED, "--threads=-3"], "from 0 to 1024, seen '-3'", id="fewer than no threads, in one word"),
        pytest.param([*SWAPPED, "--threads", "1e3"], "seen '1e3'", id="threads with an exponent"),
        pytest.param([*SWAPPED, "--threads", "9" * 5000], "from 0 to 1024, seen '99", id="threads without end"),
        pytest.param([*SWAPPED, "--pixel-boost", "-128"], "from 64 to 512, seen '-128'", id="fewer than no pixels"),
        pytest.param([*SWAPPED, "--pixel-boost", "0"], "seen '0'", id="no pixels"),
        pytest.param([*SWAPPED, "--pixel-boost", "1024"], "seen '1024'", id="too many pixels"),
        pytest.param([*SWAPPED, "--feather", "0.1_5"], "from 0 to 0.5, seen '0.1_5'", id="a feather as in a program"),
        pytest.param([*SWAPPED, "--feather", "nan"], "from 0 to 0.5, seen 'nan'", id="a feather that is no number"),
        pytest.param(["deploy", "develop", "--into", "a", "--timeout", "-1"], "seen '-1'", id="less than no time"),
        pytest.param(["deploy", "develop", "--into", "a", "--timeout", "1e300"], "seen '1e300'", id="time for ever"),
        pytest.param(["serve-health", "--port", "-1"], "from 0 to 65535, seen '-1'", id="a port below 0"),
        pytest.param(["boot", "--groups", "core,ba nana"], "seen 'ba nana'", id="a group"),
        pytest.param(["boot", "--contribute", "some/models"], "expected --build", id="nothing built to contribute"),
        pytest.param(["download", "xseg_1", "--budget", "2 GB"], "seen '2 GB'", id="a budget"),
        pytest.param(["deploy", "develop", "--into", "app", "--timeout", "0"], "seen '0'", id="no time for a check"),
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
    command = arguments[:1] if arguments[:1] != ["swop"] else []
    assert said.startswith(" ".join(["usage: morphstream", *command, "[-h]"]))
    assert expected in said.splitlines()[-1]
    assert (here / "out.png").read_bytes() == OLD


def test_what_is_wrong_is_one_line_of_bounded_length(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for arguments in (["x" * 10_000], ["boot", "--target", "y\n" * 10_000], ["doctor", "z" * 10_000]):
        line = re.split(r"\nmorphstream", wrong_usage(capfd, *arguments))[1]
        assert line.count("\n") == 1
        assert len(line) < 500


def test_every_line_of_a_boot_is_bounded(here: Path) -> None:
    done = python("-m", "morphstream", "boot", "--source", "x/" * 5000, "--store", "new")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) > 3
    assert all(len(line) <= 500 for line in lines)


def test_a_list_of_no_sources_is_wrong_usage(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MORPHSTREAM_SOURCE", ",")
    assert "expected a folder or hub:ORG/REPO[@REV], seen ','" in wrong_usage(
        capfd, "deploy", "develop", "--into", "app"
    )


def test_a_bug_keeps_its_traceback(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: object, **__: object) -> None:
        raise ValueError("a bug of ours")

    monkeypatch.setattr("morphstream.cli.boot.boot", stumble)
    with pytest.raises(ValueError, match="a bug of ours"):
        main(["boot"])


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_name_that_stdout_has_no_letters_for_is_escaped(encoding: str, tmp_path: Path) -> None:
    code = "import sys; from morphstream.cli.main import main; sys.exit(main(['doctor', '--store', sys.argv[1]]))"
    done = python("-c", code, "gr\udcff\nö", cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (1, "")
    assert f"would use  nothing from gr\\udcff {'ö' if encoding == 'utf-8' else chr(92) + 'xf6'}; the" in done.stdout


def test_help_names_the_commands() -> None:
    done = python("-m", "morphstream", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        "{boot,download,swap,live,faces,batch,inspect,doctor,bench,serve-health,deploy,verify,completion}"
        in done.stdout
    )


def test_the_version_is_that_of_the_package(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert (caught.value.code, capfd.readouterr().out) == (0, f"morphstream {morphstream.__version__}\n")


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
    assert {*morphstream.__all__, "__version__", "__doc__"} < set(dir(morphstream))
    assert [name for name in dir(morphstream) if name.startswith("_") and not name.endswith("__")] == []
    done = python("-c", "import morphstream; morphstream.ModelZoo")
    assert "module 'morphstream' has no attribute 'ModelZoo'" in done.stderr
