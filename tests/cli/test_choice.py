"""Options say which face of which source goes to which face, are checked before a file is read, and name a choice."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from morphstream.artifact.errors import NoFaceError
from morphstream.cli.choice import add_choice, source_paths, wanted_of, why_nobody
from morphstream.cli.options import UsageError
from morphstream.face.assign import assign, from_left
from morphstream.face.types import Face, FoundFaces, Identity
from morphstream.frame import Frame
from morphstream.media.image import read_image
from morphstream.pipeline import SwapPipeline
from morphstream.store.store import Store


@pytest.fixture(scope="module")
def pipeline(booted: Store) -> Iterator[SwapPipeline]:
    with SwapPipeline(booted, threads=1) as pipeline:
        yield pipeline


@pytest.fixture(scope="module")
def pictures(photos: Path) -> dict[str, Frame]:
    return {name: read_image(photos / name) for name in ("source.png", "group.jpg", "nobody.png")}


@pytest.fixture(scope="module")
def faces(pipeline: SwapPipeline, pictures: dict[str, Frame]) -> Sequence[Face]:
    """Those of the group, from left to right."""
    found = pipeline.detect(pictures["group.jpg"])
    return [found[index] for index in from_left(found)]


def chosen(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    add_choice(parser)
    return parser.parse_args(arguments)


def wanted(
    pipeline: SwapPipeline, pictures: dict[str, Frame], faces: Sequence[Face], *arguments: str
) -> tuple[dict[int, Identity], list[str]]:
    """Return who becomes whom in the group, by the number from the left, and the notes."""
    options = chosen(*arguments)
    sources = [(path, pictures[path.name]) for path in source_paths(options)]
    wishes, notes = wanted_of(pipeline, sources, options)
    return {index + 1: identity for index, identity in assign(faces, wishes, list).items()}, notes


def test_a_source_with_one_face_becomes_everyone(
    pipeline: SwapPipeline, pictures: dict[str, Frame], faces: Sequence[Face]
) -> None:
    assigned, notes = wanted(pipeline, pictures, faces, "source.png")
    assert assigned == dict.fromkeys(range(1, 30), pipeline.identify(pictures["source.png"]))
    assert notes == []


def test_a_source_with_several_faces_says_which_was_taken(
    pipeline: SwapPipeline, pictures: dict[str, Frame], faces: Sequence[Face]
) -> None:
    largest = max(range(29), key=lambda index: faces[index].area)
    for choice, index in ((), largest), (("7",), 6), (("left",), 0), (("right",), 28), (("largest",), largest):
        options = [f"--source-face={word}" for word in choice]
        assigned, (note,) = wanted(pipeline, pictures, faces, "group.jpg", "--target-face=1", *options)
        assert assigned == {1: pipeline.identify(pictures["group.jpg"], faces[index])}
        assert note.startswith(f"group.jpg: 29 faces found, took number {index + 1} from the left")


def test_each_of_several_sources_has_its_face_and_its_target(
    pipeline: SwapPipeline, pictures: dict[str, Frame], faces: Sequence[Face]
) -> None:
    astronaut = pipeline.identify(pictures["source.png"])
    ninth = pipeline.identify(pictures["group.jpg"], faces[8])
    both = ("source.png", "--add-source=group.jpg", "--source-face=largest", "--source-face=9")
    assert wanted(pipeline, pictures, faces, *both)[0] == {1: astronaut, 2: ninth}
    assigned, _ = wanted(pipeline, pictures, faces, *both, "--target-face=right,4", "--target-face=all")
    assert assigned == {**dict.fromkeys(range(1, 30), ninth), 4: astronaut, 29: astronaut}
    twice = ("source.png", "--add-source=source.png", "--target-face=3", "--target-face=5")
    assert wanted(pipeline, pictures, faces, *twice)[0] == {3: astronaut, 5: astronaut}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["group.jpg", "--source-face=30"], "group.jpg: expected face 30 from the left, seen 29 faces; run"),
        (["nobody.png"], "nobody.png: expected a face to identify, seen one colour everywhere"),
    ],
    ids=["a number that is too large", "nobody"],
)
def test_a_source_without_the_face_is_named(
    pipeline: SwapPipeline, pictures: dict[str, Frame], faces: Sequence[Face], arguments: list[str], expected: str
) -> None:
    with pytest.raises(NoFaceError, match=f"^{expected}"):
        wanted(pipeline, pictures, faces, *arguments)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--source-face=1", "--source-face=2"], "--source-face: expected one for each of 1 sources at most, seen 2"),
        (["--target-face=1", "--target-face=2"], "--target-face: expected one for each of 1 sources, or none, seen 2"),
        (
            ["--add-source=b.png", "--target-face=1"],
            "--target-face: expected one for each of 2 sources, or none, seen 1",
        ),
    ],
)
def test_choices_without_a_source_are_wrong_usage(arguments: list[str], expected: str) -> None:
    with pytest.raises(UsageError, match=f"^{expected}$"):
        source_paths(chosen("a.png", *arguments))


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "middle", "", "²", "9" * 9])
@pytest.mark.parametrize("option", ["--source-face", "--target-face"])
def test_a_face_that_there_cannot_be_is_wrong_usage(option: str, value: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        chosen("a.png", f"{option}={value}")
    assert f"argument {option}: expected " in capfd.readouterr().err


def test_why_nobody_is_swapped_is_said(faces: Sequence[Face], pictures: dict[str, Frame]) -> None:
    found = FoundFaces(frame=pictures["group.jpg"], faces=faces, assignment={})
    said = why_nobody(found, chosen("a.png", "--target-face=30,31"))
    assert said.startswith("expected a face to swap, seen 29 and none that --target-face 30,31 picks; run morphstream")
    nobody = FoundFaces(frame=pictures["nobody.png"], faces=[], assignment={}, reason="seen none; use another")
    assert why_nobody(nobody, chosen("a.png")) == "expected a face to swap, seen none; use another"
