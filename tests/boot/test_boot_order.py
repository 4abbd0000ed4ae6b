"""A boot takes what is nearest: the store, then each source in its order, and says why it went on to the next."""

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pytest

from morphstream.artifact.errors import DigestMismatchError, FetchError, NoEngineError
from morphstream.boot.boot import boot
from morphstream.source.folder import FolderSource
from morphstream.store.store import Store
from tests.layouts import CPU, MACHINE, archive_of


@dataclass
class Elsewhere:
    """A source that isn't on this machine, and notes what it is asked."""

    root: Path
    asked: list[str] = field(default_factory=list)
    is_remote: bool = True

    def __str__(self) -> str:
        return "elsewhere"

    def read(self, path: str) -> bytes:
        """Note the file, and return it."""
        self.asked.append(path)
        return FolderSource(self.root).read(path)

    def open(self, path: str) -> BinaryIO:
        """Note the file, and open it."""
        self.asked.append(path)
        return FolderSource(self.root).open(path)


def test_a_source_that_fails_is_passed_over_with_its_reason(
    store: Store, layout: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    report = boot(store, source=[tmp_path / "baked", layout], machine=MACHINE)
    assert not report.was_good
    assert [step.name for step in report.steps] == ["probe", "store", "select", "install", "select", "install"]
    assert report.steps[3].reason.startswith(f"{tmp_path}/baked: expected manifests/archives.json, seen ")
    assert report.steps[4].reason == f"{archive_of(CPU)} of {layout}"
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_an_archive_that_is_broken_is_passed_over(store: Store, layout: Path) -> None:
    other = Elsewhere(layout)
    broken = layout.parent / "broken"
    (broken / "archives").mkdir(parents=True)
    (broken / "manifests").symlink_to(layout / "manifests")
    (broken / "archives" / archive_of(CPU)).write_bytes(b"x" * 100)
    assert not boot(store, source=[broken, other], machine=MACHINE).was_good
    store.verify()
    assert other.asked == ["manifests/archives.json", f"archives/{archive_of(CPU)}"]


def test_where_every_source_fails_the_last_says_why(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"second: expected manifests/archives\.json"):
        boot(store, source=[tmp_path / "first", tmp_path / "second"], machine=MACHINE)


def test_a_source_elsewhere_is_asked_only_where_the_store_has_nothing_to_run(store: Store, layout: Path) -> None:
    other = Elsewhere(layout)
    assert not boot(store, source=other, machine=MACHINE).was_good
    other.asked.clear()
    report = boot(store, source=other, machine=MACHINE)
    assert report.was_good
    assert (report.archive, other.asked) == (archive_of(CPU), [])
    assert report.steps[-1].reason == f"{CPU} is good, by sizes"
    assert boot(store, source=other, machine=MACHINE, update=True).was_good
    assert other.asked == ["manifests/archives.json"]
    assert not boot(store, target="rtx-sm89", source=other, machine=MACHINE).was_good  # the store's are for another


def test_offline_asks_nothing_elsewhere(store: Store, layout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Elsewhere(layout)
    with pytest.raises(FetchError, match=r"^elsewhere: expected a source on this machine, seen one elsewhere; boot"):
        boot(store, source=other, machine=MACHINE, offline=True)
    assert not boot(store, source=[other, layout], machine=MACHINE, offline=True).was_good
    assert boot(store, source=other, machine=MACHINE, offline=True).was_good
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(FetchError, match="boot without offline"):
        boot(store.path / "another", source=other, machine=MACHINE)
    assert other.asked == []


def test_an_altered_byte_is_found_by_verify_and_mended(store: Store, layout: Path) -> None:
    boot(store, source=layout, machine=MACHINE)
    installed = store.current()
    engine = installed.folder / next(iter(installed.manifest.digests))
    engine.write_bytes(bytes([engine.read_bytes()[0] ^ 1]) + engine.read_bytes()[1:])
    assert boot(store, source=layout, machine=MACHINE).was_good  # by sizes
    with pytest.raises(DigestMismatchError):
        store.verify()
    assert not boot(store, source=layout, machine=MACHINE, verify=True).was_good
    store.verify()
    assert boot(store, source=layout, machine=MACHINE, verify=True).steps[1].reason.endswith("every digest")


def test_the_sources_of_the_environment_are_divided_by_commas(
    store: Store, layout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORPHSTREAM_SOURCE", f"/nowhere,{layout}")
    assert not boot(store, machine=MACHINE).was_good


def test_a_boot_without_a_source_is_refused_where_the_store_has_nothing(store: Store) -> None:
    with pytest.raises(NoEngineError, match=r"^boot: expected a source to boot from, seen none; name one$"):
        boot(store, source=[], machine=MACHINE)


def test_the_report_is_json_with_a_reason_for_every_step(store: Store, layout: Path) -> None:
    report = json.loads(boot(store, source=layout, machine=MACHINE).to_json())
    assert (report["cache_key"], report["was_good"]) == (CPU, False)
    assert [step["name"] for step in report["steps"]] == ["probe", "store", "select", "install"]
    assert all(step["reason"] and step["seconds"] >= 0 for step in report["steps"])


def test_a_reason_is_a_line_whatever_the_path(tmp_path: Path, layout: Path, caplog: pytest.LogCaptureFixture) -> None:
    report = boot(tmp_path / "two\nlines", source=[tmp_path / "no\nwhere", layout], machine=MACHINE)
    assert {len(text.splitlines()) for text in (*(step.reason for step in report.steps), *caplog.messages)} == {1}
