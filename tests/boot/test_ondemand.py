"""Models come on demand, room is made by what was used least recently, and nobody is disturbed."""

import shutil
from pathlib import Path

import pytest

from morphstream.artifact.errors import FetchError, NoEngineError
from morphstream.boot.boot import boot
from morphstream.boot.ondemand import add_model
from morphstream.source.folder import FolderSource
from morphstream.store.store import Store
from morphstream.store.usage import Usage
from tests.boot.test_boot_order import Elsewhere
from tests.layouts import CPU, FILES, MACHINE, ON_DEMAND, publish, say_roles

A, B = "hyperswap_1a_256", "hyperswap_1b_256"
CORE = 10_000  # bytes of the core's files; a swapper has 5,000, inswapper_128 15,000


@pytest.fixture
def hub(tmp_path: Path) -> Elsewhere:
    """Where all models are published."""
    return Elsewhere(publish(tmp_path / "hub", CPU, files=(*FILES, *ON_DEMAND)))


@pytest.fixture
def booted(store: Store, hub: Elsewhere) -> Store:
    """A store with the core alone."""
    boot(store, source=hub, machine=MACHINE, groups=["core"])
    hub.asked.clear()
    return store


def models_of(store: Store) -> list[str]:
    return sorted(store.current().models)


def test_a_model_is_added_and_nothing_else_is_fetched(booted: Store, hub: Elsewhere) -> None:
    before = booted.current()
    added = add_model(booted, A, hub)
    assert str(added) == f"{A} fetched"
    assert hub.asked == [f"trt_cache/{CPU}/manifest.json", f"trt_cache/{CPU}/{A}.xml"]
    assert models_of(booted) == ["det_10g", A]
    assert booted.current().publication == before.publication
    booted.verify()
    assert str(add_model(booted, A, FolderSource(Path("nowhere")))) == f"{A} was there already"


def test_a_reader_keeps_its_generation_and_files_take_their_room_once(booted: Store, hub: Elsewhere) -> None:
    with booted.hold() as before:
        add_model(booted, A, hub)
        after = booted.current()
        assert before.folder.exists()
        assert (before.folder / "det_10g.bin").samefile(after.folder / "det_10g.bin")
        assert not (before.folder / "manifest.json").samefile(after.folder / "manifest.json")  # or a hold were of both
    assert booted.clean() == ()
    assert list((booted.path / "caches").iterdir()) == [after.folder]
    booted.verify()


def test_without_links_files_are_copied(booted: Store, hub: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(path), None, str(target))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    add_model(booted, A, hub)
    assert models_of(booted) == ["det_10g", A]
    booted.verify()


def test_what_was_used_least_recently_goes(booted: Store, hub: Elsewhere) -> None:
    budget = CORE + 15_000 + 5_000
    for model in ("inswapper_128", A):
        assert add_model(booted, model, hub, budget_bytes=budget).evicted == ()
    add_model(booted, "inswapper_128", hub)  # which is a use
    added = add_model(booted, B, hub, budget_bytes=budget)
    assert str(added) == f"{B} fetched, evicted {A}"
    assert models_of(booted) == ["det_10g", B, "inswapper_128"]
    assert not (booted.current().folder / f"{A}.xml").exists()
    assert add_model(booted, A, hub, budget_bytes=budget - 1).evicted == ("inswapper_128",)
    assert booted.current().added == (A, B)
    assert boot(booted, source=hub, machine=MACHINE, groups=["core"]).was_good
    booted.verify()


def test_what_is_baked_is_never_evicted_and_a_budget_without_room_changes_nothing(
    booted: Store, hub: Elsewhere
) -> None:
    add_model(booted, A, hub)
    before = booted.current()
    expected = f"{B}: expected room for it in a budget of 14999 bytes, seen 15000 bytes that have to stay; raise"
    with pytest.raises(NoEngineError, match=f"^{expected}"):
        add_model(booted, B, hub, budget_bytes=14_999)
    assert booted.current() == before
    assert hub.asked.count(f"trt_cache/{CPU}/{B}.xml") == 0


def test_an_eviction_is_not_undone_by_the_next_boot_of_an_archive(store: Store, hub: Elsewhere) -> None:
    boot(store, source=hub.root, machine=MACHINE)
    assert set(add_model(store, A, hub).evicted) == set()
    shutil.rmtree(store.path)
    smaller = publish(hub.root.parent / "baked", CPU)
    boot(store, source=smaller, machine=MACHINE)
    assert add_model(store, A, hub, budget_bytes=CORE + 15_000).evicted == ("inswapper_128",)
    report = boot(store, source=smaller, machine=MACHINE)
    assert (report.was_good, models_of(store)) == (True, ["det_10g", A])


@pytest.mark.parametrize(
    ("model", "spoil", "expected"),
    [
        pytest.param(
            "gfpgan", None, f"^gfpgan: expected an engine for {CPU} at elsewhere, seen those of det", id="none"
        ),
        pytest.param(A, f"{A}.xml", rf"expected trt_cache/{CPU}/{A}\.xml, seen No such file", id="no file"),
        pytest.param(A, "manifest.json", r"expected trt_cache/.*/manifest\.json, seen No such file", id="no manifest"),
    ],
)
def test_a_model_that_cannot_be_had_changes_nothing(
    booted: Store, hub: Elsewhere, model: str, spoil: str | None, expected: str
) -> None:
    if spoil:
        (hub.root / "trt_cache" / CPU / spoil).unlink()
    before = booted.current()
    with pytest.raises((NoEngineError, FetchError), match=expected):
        add_model(booted, model, hub, budget_bytes=CORE + 5_000)
    assert booted.current() == before
    assert not list(booted.path.glob(".staging*"))


def test_an_empty_store_takes_no_model(store: Store, hub: Elsewhere) -> None:
    with pytest.raises(NoEngineError, match="run: morphstream boot"):
        add_model(store, A, hub)
    assert not store.path.exists()


def test_the_order_of_use_needs_no_clock_and_minds_no_other_file(tmp_path: Path) -> None:
    usage = Usage(tmp_path / "used")
    assert usage.order(["b", "a"]) == ["a", "b"]
    for model in ("b", "a", "c", "c", "b"):
        usage.touch(model)
    assert usage.order(["a", "b", "c", "d"]) == ["d", "a", "c", "b"]
    assert sorted(path.name for path in (tmp_path / "used").iterdir()) == ["2.a", "3.c", "4.b"]
    assert not any(path.stat().st_size for path in (tmp_path / "used").iterdir())
    for odd in ("1.b", "x.c", f"{'9' * 30}.a", "nothing"):
        (tmp_path / "used" / odd).touch()
    assert usage.order(["a", "b", "c"]) == ["a", "c", "b"]
    usage.forget("b")
    usage.touch("a")
    assert usage.order(["a", "b", "c"]) == ["b", "c", "a"]


def test_use_is_not_noted_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    usage = Usage(tmp_path / "file/used")
    usage.touch("a")
    usage.forget("a")
    assert usage.order(["a"]) == ["a"]


def test_the_manifest_says_what_may_be_evicted_whatever_the_groups_are_called(store: Store, tmp_path: Path) -> None:
    groups = {"det_10g": "eyes", "inswapper_128": "faces", A: "faces", B: "faces"}
    layout = publish(tmp_path / "layout", CPU, files=(*FILES, *ON_DEMAND), groups=groups)
    say_roles(layout, CPU)
    boot(store, source=layout, machine=MACHINE, groups=["eyes"])
    source = FolderSource(layout)
    add_model(store, A, source)
    assert add_model(store, B, source, budget_bytes=CORE + 5_000).evicted == (A,)
    assert models_of(store) == ["det_10g", B]


def test_a_model_of_an_unknown_group_stays_where_nothing_says_how_it_is_delivered(store: Store, tmp_path: Path) -> None:
    layout = publish(tmp_path / "layout", CPU, files=(*FILES, *ON_DEMAND), groups={A: "faces"})
    boot(store, source=layout, machine=MACHINE, groups=["core"])
    add_model(store, A, FolderSource(layout))
    with pytest.raises(NoEngineError, match="expected room for it in a budget"):
        add_model(store, B, FolderSource(layout), budget_bytes=CORE + 5_000)
