"""`morphstream boot` and `morphstream doctor` say what they did and found, and refuse in a line."""

import json
from pathlib import Path

import pytest

from morphstream.cli.main import main
from morphstream.store.store import Store
from tests.cli import refusal


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


def test_json_is_printed_by_a_boot_that_fails_too(
    here: Path, published: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["boot", "--target", "cpu", "--source", str(published), "--json"]) == 0
    done = json.loads(capfd.readouterr().out)
    assert (done["archive"], done["error"]) == ("cpu.tar.zst", None)
    assert main(["boot", "--target", "cpu", "--source", "missing", "--store", "new", "--js"]) == 1
    captured = capfd.readouterr()
    refused = json.loads(captured.out)
    assert refused.keys() == done.keys()
    assert (refused["cache_key"], refused["archive"], refused["was_good"]) == (None, None, False)
    assert refused["error"].startswith("missing: expected manifests/archives.json")
    assert f"morphstream boot: {refused['error']}" in captured.err
    assert [step["name"] for step in refused["steps"]] == ["probe", "store", "select", "install"]
    assert set(refused["steps"][0]) == {"name", "seconds", "reason"}


def test_doctor_s_json_says_what_its_exit_says(here: Path, published: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 1
    assert json.loads(capfd.readouterr().out)["is_usable"] is False
    assert main(["boot", "--target", "cpu", "--source", str(published)]) == 0
    capfd.readouterr()
    assert main(["doctor", "--json"]) == 0
    facts = json.loads(capfd.readouterr().out)
    assert facts["is_usable"] is True
    assert facts["would_use"] == facts["store"]["cache_key"]


def test_boot_opens_every_engine_once_where_asked_so_that_the_next_process_compiles_nothing(
    here: Path, published: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ["boot", "--target", "cpu", "--source", str(published), "--groups", "core", "--warm", "--json"]
    assert main(options) == 0
    steps = json.loads(capfd.readouterr().out)["steps"]
    assert [step["name"] for step in steps][-2:] == ["install", "warm"]
    assert steps[-1]["reason"] == "2 engines were opened"
    assert len(list((here / "store/graphs").glob("*.graph"))) == 2


def test_boot_says_why_it_can_not_open_engines_and_leaves_them_in_the_store(
    here: Path, published: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["boot", "--target", "rtx-sm89", "--source", str(published), "--warm"]) == 1
    assert "expected arch sm89, seen x86_64; " in capfd.readouterr().err
    assert str(Store(here / "store").current().cache_key) == "sm89/rtx1.7_ort1.31"


def test_store_and_source_can_come_from_the_environment(
    here: Path, published: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MORPHSTREAM_STORE", "elsewhere")
    monkeypatch.setenv("MORPHSTREAM_SOURCE", str(published))
    assert main(["boot", "--target", "cpu"]) == 0
    assert Store(here / "elsewhere").current().archive == "cpu.tar.zst"


def test_empty_options_are_as_if_they_were_not_given(
    here: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORPHSTREAM_SOURCE", str(published))
    assert main(["boot", "--target", "cpu", "--source", "", "--groups", ""]) == 0
    assert Store(here / "store").current().is_whole


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
