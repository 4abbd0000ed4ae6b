"""Options say which face of which source goes to which face, are checked before a file is read, and name a choice."""

import argparse
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from morphstream.artifact.errors import ManifestError, NoFaceError
from morphstream.cli.choice import SourcePerson, add_choice, people_of, wanted_of, why_nobody
from morphstream.cli.options import UsageError
from morphstream.cli.written import add_people_of
from morphstream.face.assign import assign, from_left
from morphstream.face.look import Look
from morphstream.face.types import Face, FoundFaces, Identity
from morphstream.frame import Frame
from morphstream.media.image import read_image
from morphstream.media.read import MAX_PIXELS
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


@pytest.fixture(autouse=True)
def _in_the_folder(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)


def chosen(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("paths", type=Path, nargs="*")
    add_choice(parser)
    return parser.parse_args(arguments)


def people(*arguments: str) -> list[SourcePerson]:
    options = chosen(*arguments)
    return people_of(options.paths, options)


def wanted(
    pipeline: SwapPipeline, pictures: dict[str, Frame], faces: Sequence[Face], *arguments: str
) -> tuple[dict[int, Identity], list[str]]:
    """Return who becomes whom in the group, by the number from the left, and the notes."""
    threshold = chosen(*arguments).threshold
    wishes, notes = wanted_of(pipeline.analyser, people(*arguments), Look(), threshold=threshold, max_pixels=MAX_PIXELS)
    identities = partial(pipeline.embed, pictures["group.jpg"], faces)
    return {index + 1: identity for index, identity in assign(faces, wishes, identities).items()}, notes


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
        people("a.png", *arguments)


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "middle", "", "²", "9" * 9])
@pytest.mark.parametrize("option", ["--source-face", "--target-face"])
def test_a_face_that_there_cannot_be_is_wrong_usage(option: str, value: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        chosen("a.png", f"{option}={value}")
    assert f"argument {option}: expected " in capfd.readouterr().err


def test_why_nobody_is_swapped_is_said(faces: Sequence[Face], pictures: dict[str, Frame]) -> None:
    found = FoundFaces(frame=pictures["group.jpg"], faces=faces, assignment={})
    said = why_nobody(found, people("a.png", "--target-face=30,31"))
    assert said.startswith("expected a face to swap, seen 29 and none that 30,31 picks; run morphstream")
    nobody = FoundFaces(frame=pictures["nobody.png"], faces=[], assignment={}, reason="seen none; use another")
    assert why_nobody(nobody, people("a.png")) == "expected a face to swap, seen none; use another"


def test_a_source_of_several_pictures_is_their_mean(
    pipeline: SwapPipeline, pictures: dict[str, Frame], faces: Sequence[Face]
) -> None:
    both = pipeline.identify(pictures["source.png"]), pipeline.identify(pictures["group.jpg"])
    assigned, notes = wanted(pipeline, pictures, faces, "--source=ann=source.png,group.jpg", "--target-face=2")
    assert assigned == {2: Identity.mean_of(both)}
    assert [note.partition(";")[0] for note in notes[1:]] == [
        f"{name}: expected who ann's other pictures show, seen a cosine of {both[0].similarity(both[1]):.2f} at most"
        for name in ("source.png", "group.jpg")
    ]


def test_a_source_is_mapped_to_a_person_and_the_others_stay(
    pipeline: SwapPipeline, pictures: dict[str, Frame], faces: Sequence[Face]
) -> None:
    astronaut = pipeline.identify(pictures["source.png"])
    largest = max(range(29), key=lambda index: faces[index].area) + 1
    mapped = ("source.png", "--map=source=group.jpg")
    assigned, (note,) = wanted(pipeline, pictures, faces, *mapped, "--threshold=0.999")
    assert assigned == {largest: astronaut}
    assert note.startswith("group.jpg: 29 faces found, took number ")
    assert note.endswith("; crop it to another for another")
    assert wanted(pipeline, pictures, faces, *mapped, "--threshold=-1")[0] == dict.fromkeys(range(1, 30), astronaut)
    words = ("--source=a=source.png", "--source=b=group.jpg", "--map=b=2,right", "--map=a=left", "--map=b=3")
    twice = pipeline.identify(pictures["group.jpg"])
    assert wanted(pipeline, pictures, faces, *words)[0] == {1: astronaut, 2: twice, 3: twice, 29: twice}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--map=b=1"], "--map: expected the name of one source, of a, seen 'b'"),
        (["--add-source=x/a.jpg", "--map=a=1"], "--map: expected the name of one source, of a, seen 'a' of 2"),
        (["--source=b=b.jpg", "--map=a=1"], "--map: expected faces for each source, seen none for b"),
        (["--map=a=1", "--target-face=1"], "--map: expected it or --target-face, seen both; map every source"),
    ],
    ids=["an unknown name", "a name of two", "a source without a face", "both"],
)
def test_a_map_without_its_source_is_wrong_usage(arguments: list[str], expected: str) -> None:
    with pytest.raises(UsageError, match=f"^{expected}$"):
        people("a.png", *arguments)


def test_sources_and_maps_are_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "people.yaml").write_text(
        "source: {ann: [1.jpg, 2.jpg], ben: /b.jpg}\nmap: {ann: [ref.jpg, left, 2], ben: largest}\nthreshold: 0.5\n"
    )
    options = chosen("--source=cem=c.jpg", "--map=cem=all", f"--people={tmp_path}/people.yaml")
    add_people_of(options)
    assert options.threshold == 0.5
    assert people_of([], options) == [
        SourcePerson(name="cem", pictures=[Path("c.jpg")], places=["all"]),
        SourcePerson(
            name="ann", pictures=[tmp_path / "1.jpg", tmp_path / "2.jpg"], places=[tmp_path / "ref.jpg", "left", 2]
        ),
        SourcePerson(name="ben", pictures=[Path("/b.jpg")], places=["largest"]),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("source: {ann: a.jpg}\noverwrite: true", "people.yaml: unrecognized arguments: --overwrite"),
        ("source: {ann: {}}", "people.yaml: expected a string or a number, seen an object in 'source'"),
        ("map: {ann: 0}", "people.yaml: expected a number from the left"),
        ("threshold: high", "people.yaml: argument --threshold: expected a number from -1 to 1, seen 'high'"),
        ("[ann]", "people.yaml: expected an object, seen an array"),
        ("source: {ann: a, ann: b}", "people.yaml: expected every key once"),
        ("source: {a=b: a.jpg}", "people.yaml: expected a name without equals signs, slashes and commas, seen"),
    ],
    ids=["another option", "an object", "no face", "no number", "an array", "a name twice", "two names"],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "people.yaml").write_text(text)
    with pytest.raises(ManifestError, match=re.escape(expected)):
        add_people_of(chosen(f"--people={tmp_path}/people.yaml"))
