"""`morphstream swap` says what it did in a line, and what it refuses costs a line and nothing on the disk."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from morphstream.cli.main import main
from morphstream.media.image import read_image
from morphstream.media.provenance import SOURCE_TYPE
from morphstream.store.store import Store
from tests.cli import OLD, SWAP, refusal, wrong_usage


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
    names = ["source.png", "source.png", "-o", "out.png", "--overwrite", "--swap-model", "hyperswap_1a_256"]
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
    assert (
        main(["swap", "source.png", "target.png", "-o", "target.png", "--overwrite", "--store", str(booted.path)]) == 0
    )
    assert SOURCE_TYPE.encode() in target.read_bytes()
    assert SOURCE_TYPE.encode() not in (here / "source.png").read_bytes()


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
        pytest.param((*SWAP[:2], "out.bmp"), "out.bmp: expected a name that ends in", id="another format"),
        pytest.param((*SWAP[:2], "missing/out.png"), "missing", id="no folder for the output"),
        pytest.param((*SWAP, "--swap-model", "inswapper_512"), "inswapper_512: expected an engine", id="no such model"),
        pytest.param((*SWAP, "--swap-model", "xseg_1"), "expected a swap model", id="another kind of model"),
    ],
)
def test_a_swap_that_cannot_be_is_refused_and_the_old_picture_stays(
    here: Path, booted: Store, capfd: pytest.CaptureFixture[str], names: tuple[str, ...], expected: str
) -> None:
    source, target, output, *options = names
    before = sorted(here.iterdir())
    line = refusal(capfd, "swap", source, target, "-o", output, "--overwrite", *options, "--store", str(booted.path))
    assert expected in line
    assert (here / "out.png").read_bytes() == OLD
    assert sorted(here.iterdir()) == before


def test_an_unknown_swap_model_is_refused_with_those_that_are_held(
    here: Path, booted: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    names = ["source.png", "group.jpg", "-o", "out.png", "--overwrite"]
    line = refusal(capfd, "swap", *names, "--swap-model", "simswap", "--store", str(booted.path))
    assert "hyperswap_1a_256, inswapper_128, inswapper_128_fp16" in line


def test_a_store_where_nothing_was_booted_is_refused(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = refusal(capfd, "swap", "source.png", "group.jpg", "-o", "out.png", "--overwrite")
    assert line.startswith("store store: expected engines, seen no current.json")
    assert line.endswith("run: morphstream boot")
    assert (here / "out.png").read_bytes() == OLD
    assert not (here / "store").exists()


def test_a_bad_output_is_refused_before_anything_is_opened(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for output in ("out.bmp", "missing/out.png", "out.png"):
        assert output in refusal(capfd, "swap", "source.png", "group.jpg", "-o", output)  # and not the empty store


def test_a_store_of_another_arch_is_refused(
    here: Path, booted_for_gpu: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    path = str(booted_for_gpu.path)
    line = refusal(capfd, "swap", "source.png", "group.jpg", "-o", "out.png", "--overwrite", "--store", path)
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
    line = refusal(
        capfd, "swap", "source.png", "group.jpg", "-o", "out.png", "--overwrite", "--store", str(own_store.path)
    )
    assert line.startswith(f"{path.name}: expected ")
    assert line.endswith("boot again")
    assert (here / "out.png").read_bytes() == OLD


def test_masks_and_pixels_are_chosen_by_options(here: Path, booted: Store, capfd: pytest.CaptureFixture[str]) -> None:
    pictures = []
    for options in (
        ["--masks", "box,occlusion,own"],
        ["--masks", "box", "--feather", "0.3"],
        ["--masks", "own"],
        ["--pixel-boost", "256", "--threads", "1"],
    ):
        command = ["swap", "source.png", "source.png", "-o", "out.png", "--overwrite", "--store", str(booted.path)]
        assert main([*command, "--swap-model", "inswapper_128", *options]) == 0
        pictures.append(read_image(here / "out.png"))
    capfd.readouterr()
    for place, picture in enumerate(pictures):
        assert all((picture != other).any() for other in pictures[:place])


def test_what_an_option_needs_and_the_store_lacks_is_refused(
    here: Path, booted: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["swap", "source.png", "source.png", "-o", "out.png", "--overwrite", "--store", str(booted.path)]
    for options, model in (
        (["--regions", "skin"], "bisenet_resnet_34"),
        (["--masks", "regions", "--parser", "bisenet_resnet_18"], "bisenet_resnet_18"),
        (["--occluder", "many"], "xseg_2"),
        (["--landmarker", "2dfan4"], "fan_68_5"),
        (["--restorer", "gfpgan"], "gfpgan"),
        (["--search", "persons"], "yolov8n"),
    ):
        assert refusal(capfd, *command, *options).startswith(f"{model}: expected an engine, seen those of ")
    assert (here / "out.png").read_bytes() == OLD
    said = wrong_usage(capfd, *command, "--pixel-boost", "300")
    assert "--pixel-boost: expected a multiple of 128 pixels, the side of inswapper_128_fp16, seen 300" in said
