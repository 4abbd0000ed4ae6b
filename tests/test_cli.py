"""The command does what it says in a line, and what it refuses costs one line on stderr and nothing on the disk."""

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import morphstream
from morphstream.__main__ import main
from morphstream.media.image import read_image
from morphstream.media.provenance import SOURCE_TYPE
from morphstream.store.store import Store
from stages.kit.detector import solvay
from tests.face import astronaut_bgr

OLD = b"what was there before"


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures: ``source.png``, ``group.jpg``, and some that won't do."""
    folder = tmp_path_factory.mktemp("photos")
    cv2.imwrite(str(folder / "source.png"), astronaut_bgr())
    cv2.imwrite(str(folder / "nobody.png"), np.full((300, 400, 3), 90, np.uint8))
    (folder / "group.jpg").write_bytes(solvay())
    (folder / "cut.jpg").write_bytes(solvay()[:100_000])
    (folder / "text.png").write_text("no picture")
    return folder


@pytest.fixture
def here(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run in, with links to the photos and an old ``out.png``."""
    for path in photos.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "out.png").write_bytes(OLD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MORPHSTREAM_STORE", raising=False)
    monkeypatch.delenv("MORPHSTREAM_SOURCE", raising=False)
    return tmp_path


def refusal(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must refuse: 1, nothing on stdout; return its one line on stderr."""
    capfd.readouterr()
    code = main([*arguments])
    done = capfd.readouterr()
    assert (code, done.out) == (1, "")
    (line,) = done.err.splitlines()
    prefix = f"morphstream {arguments[0]}: "
    assert line.startswith(prefix)
    return line.removeprefix(prefix)


def wrong_usage(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that makes no sense: 2; return what stderr says."""
    with pytest.raises(SystemExit) as caught:
        main([*arguments])
    assert caught.value.code == 2
    done = capfd.readouterr()
    assert done.out == ""
    return done.err


def python(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def test_a_swap_says_where_the_picture_is_and_how_many_faces_it_swapped(
    here: Path, booted: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["swap", "source.png", "group.jpg", "-o", "out.jpg", "--store", str(booted.path)]) == 0
    done = capfd.readouterr()
    assert done.err == ""
    (line,) = done.out.splitlines()
    assert line.startswith("out.jpg: 29 faces found, 29 swapped with inswapper_128_fp16; open ")
    assert read_image(here / "out.jpg").shape == read_image(here / "group.jpg").shape
    assert SOURCE_TYPE.encode() in (here / "out.jpg").read_bytes()


def test_the_installed_command_swaps_in_a_process_of_its_own(here: Path, booted: Store) -> None:
    command = shutil.which("morphstream", path=str(Path(sys.executable).parent))
    assert command, "pip install -e ."
    names = ["source.png", "source.png", "-o", "out.png", "--swap-model", "hyperswap_1a_256"]
    arguments = [command, "swap", *names, "--store", str(booted.path)]
    done = subprocess.run(arguments, cwd=here, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("out.png: 1 faces found, 1 swapped with hyperswap_1a_256; open ")
    assert read_image(here / "out.png").shape == (512, 512, 3)


def test_an_output_may_take_the_place_of_its_own_target(
    here: Path, booted: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    target = here / "target.png"
    shutil.copyfile(here / "source.png", target)
    assert main(["swap", "source.png", "target.png", "-o", "target.png", "--store", str(booted.path)]) == 0
    assert SOURCE_TYPE.encode() in target.read_bytes()
    assert SOURCE_TYPE.encode() not in (here / "source.png").read_bytes()


SWAP = ("source.png", "group.jpg", "out.png")
SWAPPED = ("swap", *SWAP[:2], "-o", "out.png")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(("missing.png", *SWAP[1:]), "missing.png: expected a picture, seen No such file", id="no source"),
        pytest.param((SWAP[0], "missing.jpg", SWAP[2]), "missing.jpg: expected a picture", id="no target"),
        pytest.param(("text.png", *SWAP[1:]), "text.png: expected a picture, seen 10 bytes", id="a text"),
        pytest.param((SWAP[0], "cut.jpg", SWAP[2]), "cut.jpg: expected a picture, seen 100000", id="a cut picture"),
        pytest.param((".", *SWAP[1:]), ".: expected a picture", id="a folder"),
        pytest.param(("nobody.png", *SWAP[1:]), "nobody.png: expected a face to identify", id="nobody in the source"),
        pytest.param(
            (SWAP[0], "nobody.png", SWAP[2]), "nobody.png: expected a face to swap", id="nobody in the target"
        ),
        pytest.param((*SWAP[:2], "out.gif"), "out.gif: expected a name that ends in", id="another format"),
        pytest.param((*SWAP[:2], "missing/out.png"), "missing", id="no folder for the output"),
        pytest.param((*SWAP[:2], "folder.png"), "folder.png", id="a folder as the output"),
        pytest.param((*SWAP, "--swap-model", "inswapper_512"), "inswapper_512: expected an engine", id="no such model"),
        pytest.param((*SWAP, "--swap-model", "xseg_1"), "expected a swap model", id="another kind of model"),
    ],
)
def test_a_swap_that_cannot_be_is_refused_and_the_old_picture_stays(
    here: Path, booted: Store, capfd: pytest.CaptureFixture[str], names: tuple[str, ...], expected: str
) -> None:
    (here / "folder.png").mkdir()
    source, target, output, *options = names
    before = sorted(here.iterdir())
    line = refusal(capfd, "swap", source, target, "-o", output, *options, "--store", str(booted.path))
    assert expected in line
    assert (here / "out.png").read_bytes() == OLD
    assert sorted(here.iterdir()) == before
    assert list((here / "folder.png").iterdir()) == []


def test_an_unknown_swap_model_is_refused_with_those_that_are_held(
    here: Path, booted: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    names = ["source.png", "group.jpg", "-o", "out.png"]
    line = refusal(capfd, "swap", *names, "--swap-model", "simswap", "--store", str(booted.path))
    assert "hyperswap_1a_256, inswapper_128, inswapper_128_fp16" in line


def test_a_store_where_nothing_was_booted_is_refused(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = refusal(capfd, "swap", "source.png", "group.jpg", "-o", "out.png")
    assert line.startswith("store store: expected engines, seen no current.json")
    assert line.endswith("run: morphstream boot")
    assert (here / "out.png").read_bytes() == OLD
    assert not (here / "store").exists()


def test_a_bad_output_is_refused_before_anything_is_opened(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for output in ("out.gif", "missing/out.png"):
        assert output in refusal(capfd, "swap", "source.png", "group.jpg", "-o", output)  # and not the empty store


def test_a_store_of_another_arch_is_refused(
    here: Path, booted_for_gpu: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    path = str(booted_for_gpu.path)
    line = refusal(capfd, "swap", "source.png", "group.jpg", "-o", "out.png", "--store", path)
    assert "sm89/rtx1.7_ort1.31: expected " in line
    assert line.endswith("or boot for this machine")
    assert (here / "out.png").read_bytes() == OLD


@pytest.mark.parametrize(
    ("kind", "kept"), [("ir", 0.5), ("emap", 0)], ids=["a graph that breaks off", "an emap of other bytes"]
)
def test_an_engine_with_other_bytes_is_refused(
    here: Path, own_store: Store, capfd: pytest.CaptureFixture[str], kind: str, kept: float
) -> None:
    path = own_store.current().files_of("inswapper_128_fp16")[kind]
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)].ljust(len(data)))
    line = refusal(capfd, "swap", "source.png", "group.jpg", "-o", "out.png", "--store", str(own_store.path))
    assert line.startswith(f"{path.name}: expected ")
    assert line.endswith("boot again")
    assert (here / "out.png").read_bytes() == OLD


def test_boot_says_what_it_did_and_doctor_what_there_is(
    here: Path, published: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["boot", "--target", "cpu", "--source", str(published)]) == 0
    assert " from cpu.tar.zst booted: probe " in capfd.readouterr().out
    assert main(["boot", "--target", "cpu", "--source", str(published)]) == 0
    assert " from cpu.tar.zst was there already: " in capfd.readouterr().out
    assert main(["doctor"]) == 0
    done = capfd.readouterr()
    assert done.err == ""
    assert done.out.endswith("\nusable     yes\n")
    for told in ("machine    ", "libraries  ", "would use  ", "store      store: ", "missing    "):
        assert f"\n{told}" in f"\n{done.out}"


def test_store_and_source_can_come_from_the_environment(
    here: Path, published: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MORPHSTREAM_STORE", "elsewhere")
    monkeypatch.setenv("MORPHSTREAM_SOURCE", str(published))
    assert main(["boot", "--target", "cpu"]) == 0
    assert Store(here / "elsewhere").current().archive == "cpu.tar.zst"


def test_doctor_says_that_nothing_was_booted(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 1
    assert capfd.readouterr().out.endswith("run: morphstream boot\n")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(["--source", "missing", "--update"], "missing: expected manifests/archives.json", id="no source"),
        pytest.param(["--target", "rtx-sm120"], "expected an archive for rtx-sm120, seen ", id="no such archive"),
        pytest.param(["--store", "source.png"], "source.png", id="a file as the store"),
    ],
)
def test_a_boot_that_cannot_be_is_refused_and_the_old_store_stays(
    here: Path, published: Path, own_store: Store, capfd: pytest.CaptureFixture[str], options: list[str], expected: str
) -> None:
    before = own_store.current()
    assert expected in refusal(capfd, "boot", "--source", str(published), "--store", str(own_store.path), *options)
    assert own_store.current() == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param([], "required: command", id="no command"),
        pytest.param(["swop"], "invalid choice: 'swop'", id="an unknown command"),
        pytest.param(["swap", "source.png", "group.jpg"], "required: -o/--output", id="no output"),
        pytest.param(["swap", "source.png", "-o", "out.png"], "required: target", id="no target"),
        pytest.param(["swap", *SWAP[:2], "-o", "out.png", "--fast"], "unrecognized arguments: --fast", id="an option"),
        pytest.param([*SWAPPED, "--masks", "box,hair"], "or own, seen hair", id="a mask"),
        pytest.param([*SWAPPED, "--feather", "0.9"], "seen 0.9", id="a feather"),
        pytest.param([*SWAPPED, "--occluder", "xseg_4"], "seen 'xseg_4'", id="an occluder"),
        pytest.param([*SWAPPED, "--regions", "skin,toe"], "seen toe", id="a region"),
        pytest.param(["boot", "--target", "banana"], "seen 'banana'", id="a target of another form"),
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


def test_an_interrupt_ends_a_command_in_silence(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("morphstream.__main__.boot", interrupt)
    assert main(["boot"]) == 130
    assert capfd.readouterr() == ("", "")


def test_help_names_the_commands() -> None:
    done = python("-m", "morphstream", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "{boot,download,swap,doctor,serve-health,deploy}" in done.stdout


def test_masks_and_pixels_are_chosen_by_options(here: Path, booted: Store, capfd: pytest.CaptureFixture[str]) -> None:
    pictures = []
    for options in (
        ["--masks", "box,occlusion,own"],
        ["--masks", "box", "--feather", "0.3"],
        ["--masks", "own"],
        ["--pixel-boost", "256", "--threads", "1"],
    ):
        command = ["swap", "source.png", "source.png", "-o", "out.png", "--store", str(booted.path)]
        assert main([*command, "--swap-model", "inswapper_128", *options]) == 0
        pictures.append(read_image(here / "out.png"))
    capfd.readouterr()
    for place, picture in enumerate(pictures):
        assert all((picture != other).any() for other in pictures[:place])


def test_what_an_option_needs_and_the_store_lacks_is_refused(
    here: Path, booted: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["swap", "source.png", "source.png", "-o", "out.png", "--store", str(booted.path)]
    for options, model in (
        (["--regions", "skin"], "bisenet_resnet_34"),
        (["--masks", "regions", "--parser", "bisenet_resnet_18"], "bisenet_resnet_18"),
        (["--occluder", "many"], "xseg_2"),
        (["--landmarker", "2dfan4"], "fan_68_5"),
        (["--restorer", "gfpgan"], "gfpgan"),
    ):
        assert refusal(capfd, *command, *options).startswith(f"{model}: expected an engine, seen those of ")
    assert (here / "out.png").read_bytes() == OLD
    said = wrong_usage(capfd, *command, "--pixel-boost", "300")
    assert "--pixel-boost: swap model: expected crops of a multiple of 128 pixels, seen 300" in said


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
