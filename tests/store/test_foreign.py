"""What others keep in the folder of a store, or of releases, is neither changed nor removed, whatever it is called."""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morphstream.artifact.digest import digest_of_file
from morphstream.artifact.errors import MorphstreamError
from morphstream.boot.boot import boot
from morphstream.deploy.deploy import deploy
from morphstream.source.folder import FolderSource
from morphstream.store.store import Store
from tests.layouts import CPU, MACHINE, publish, publish_code

EXAMPLES = int(os.environ.get("MORPHSTREAM_EXAMPLES") or 12)  # 300 take a minute or two
OWN = [
    ".lock",
    "current.json",
    "current",
    "previous",
    "caches",
    "releases",
    ".staging",
    "used",
    "graphs",
    "runtime_caches",
    "code",
    "held",
]
OWN += ["manifest.json", "0123456789abcdef", "0123456789abcdef.1", ".staging.part", ".current.json.0123.part"]
MINE = ["photos", "a", "ü", "two\nlines", ".hidden", "x" * 200]
FILES = [b"", b"precious", b"{}", b"process of mine\n", b'{"format_version": 3}', b"\0" * 10]
LINKS = {"link to a folder": "outside", "link to a file": "outside/file", "link to nothing": "none"}
KINDS: list[str | bytes] = ["folder", "pipe", *LINKS, "link to a device", *FILES]


@pytest.fixture(scope="session")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two published layouts with engines and code."""
    root = tmp_path_factory.mktemp("foreign")
    found = [publish(root / text, CPU, build=build) for build, text in enumerate(("one", "two"))]
    for layout in found:
        publish_code(layout, layout.name)
    return found


def generation_of(layout: Path) -> str:
    """Return the name that the engines of a layout get."""
    return digest_of_file(layout / "trt_cache" / CPU / "manifest.json").sha256[:16]


def plant(root: Path, tree: dict[tuple[str, ...], str | bytes]) -> None:
    """Make a tree of foreign things; what doesn't fit below another is left out."""
    for parts, kind in tree.items():
        path = root.joinpath(*parts)
        with suppress(FileExistsError, NotADirectoryError):
            if any(parent.is_symlink() for parent in path.parents):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(kind, bytes):
                path.touch(exist_ok=False)
                path.write_bytes(kind)
            elif kind == "folder":
                path.mkdir()
            elif kind == "pipe":
                os.mkfifo(path)
            else:
                path.symlink_to(root.parent / LINKS[kind] if kind in LINKS else "/dev/zero")


def look(root: Path) -> dict[str, tuple[int, bytes | str]]:
    """Return kind and content of everything in a folder, by path."""
    found: dict[str, tuple[int, bytes | str]] = {}
    for path in sorted(root.rglob("*")):
        mode = path.lstat().st_mode
        content = path.read_bytes() if stat.S_ISREG(mode) else str(path.readlink()) if path.is_symlink() else ""
        found[str(path.relative_to(root))] = stat.S_IFMT(mode), content
    return found


def steps(root: Path, layouts: list[Path]) -> list[Callable[[], object]]:
    """Return what installs engines and code into a folder, again and again, and cleans up."""
    one, two = layouts
    return [
        lambda: boot(root, source=one, machine=MACHINE),
        lambda: boot(root, source=two, machine=MACHINE, verify=True),
        lambda: Store(root).clean(),
        *(lambda layout=layout: deploy("develop", root, [FolderSource(layout)]) for layout in (one, two, one)),
    ]


@settings(max_examples=EXAMPLES, derandomize=EXAMPLES < 100)
@given(data=st.data())
def test_nothing_foreign_is_touched_around_stores_and_releases(data: st.DataObject, layouts: list[Path]) -> None:
    names = st.sampled_from([*OWN, *MINE, *map(generation_of, layouts)])
    paths = st.lists(names, min_size=1, max_size=4).map(tuple)
    tree = data.draw(st.dictionaries(paths, st.sampled_from(KINDS), max_size=12))
    with tempfile.TemporaryDirectory() as folder:
        root, outside = Path(folder, "root"), Path(folder, "outside")
        for path in (root, outside):
            path.mkdir()
        (outside / "file").write_bytes(b"precious")
        plant(root, tree)
        mine, others = look(root), look(outside)
        for step in steps(root, layouts):
            before, refusal = look(root), ""
            try:
                step()
            except (MorphstreamError, OSError) as error:
                refusal = str(error)
            after = look(root)
            assert len(refusal.splitlines()) <= 1
            assert not refusal or after == before
            assert {path: after.get(path) for path in mine} == mine
            assert look(outside) == others


@pytest.mark.parametrize("name", ["3.det_10g", "3.notes", "notes"])
def test_no_file_with_content_and_nothing_behind_a_link_counts_as_a_use(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_bytes(b"precious")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/used").symlink_to(tmp_path / "mine")
    shutil.copytree(tmp_path / "mine", tmp_path / "store/used")
    for store in (Store(tmp_path / "linked"), Store(tmp_path / "store")):
        for model in ("det_10g", "other", "det_10g"):
            store.usage.touch(model)
        store.usage.forget("det_10g")
        assert (store.path / "used" / name).read_bytes() == b"precious"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == [name]


def test_what_is_left_alone_is_named_within_a_bound(
    store: Store, layout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1000):
        (store.path / "caches" / f"{number:03}\n{'x' * 200}").mkdir(parents=True)
    boot(store, source=layout, machine=MACHINE)
    (line,) = [message for message in caplog.messages if "left alone" in message]
    assert line.startswith(f"{store.path}/caches: left alone what was not made here: '000\\nxxx")
    assert line.endswith(" and 997 more; move it away")
    assert len(line) < 500
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize("size", [0, 1 << 40], ids=["no text", "huge"])
def test_a_store_with_a_foreign_record_is_refused_before_anything_is_read(
    store: Store, layout: Path, size: int
) -> None:
    store.path.mkdir()
    with (store.path / "current.json").open("wb") as file:
        file.truncate(size)
    seen = "another file" if not size else "more than 1048576 bytes"
    with pytest.raises(OSError, match=rf"current\.json: expected a record that was made here, seen {seen}; "):
        boot(store, source=layout, machine=MACHINE)
    assert [path.name for path in store.path.iterdir()] == ["current.json"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("current.json", "a record"),
        (".lock", "a lock"),
        ("caches", "a folder"),
        ("releases", "a folder"),
        ("current", "a link to releases/NAME"),
        ("previous", "a link to releases/NAME"),
    ],
)
@pytest.mark.parametrize("kind", ["a pipe", "a link", "a file"])
def test_what_is_in_the_place_of_ones_own_is_refused_in_one_line(
    layouts: list[Path], tmp_path: Path, name: str, expected: str, kind: str
) -> None:
    mine, path = tmp_path / "mine", tmp_path / "root" / name
    path.parent.mkdir()
    mine.write_bytes(b"precious")
    match kind:
        case "a pipe":
            os.mkfifo(path)
        case "a link":
            path.symlink_to(mine)
        case _:
            path.write_bytes(b"precious")
    is_of_store = name in ("current.json", "caches")
    first, *_, last = steps(path.parent, layouts)
    with pytest.raises(OSError, match="expected") as caught:
        (first if is_of_store else last)()
    seen = "another file" if kind == "a file" and name in (".lock", "current.json") else kind
    rest = "move it away, or name another folder"
    assert str(caught.value) == f"{path}: expected {expected} that was made here, seen {seen}; {rest}"
    assert mine.read_bytes() == b"precious"
    assert [one.name for one in path.parent.iterdir()] == [name]
