"""A worker with a root document takes only what its publisher signed, says why, and goes on with what it has."""

import os
import re
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from morphstream.artifact.errors import MorphstreamError, UntrustedError
from morphstream.boot.boot import boot
from morphstream.boot.doctor import diagnose
from morphstream.boot.ondemand import add_model
from morphstream.deploy.deploy import deploy
from morphstream.source.folder import FolderSource
from morphstream.source.publication import Publication
from morphstream.source.verify import verify_publication
from morphstream.store.store import Store
from tests.layouts import CPU, MACHINE, publish
from tests.signing import Signing
from tests.source.tampering import Publications, Trial, trials


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Publications:
    """Return two publications."""
    return Publications.made(tmp_path_factory.mktemp("publications"))


def booted(made: Publications, folder: Path) -> Store:
    """Return a store that was booted from the newer publication."""
    store = Store(folder / "store")
    boot(store, source=made.new, machine=MACHINE, root=made.signing.root_file())
    return store


def outcome(store: Store, layout: Path) -> str:
    """Return what `boot --update` and `verify` say of a publication; empty where both find nothing wrong."""
    try:
        boot(store, source=layout, machine=MACHINE, update=True)
        source, trust = FolderSource(layout), store.trust()
        assert trust
        faults = (*trust.faults(source), *verify_publication(Publication(source, trust=trust)).faults)
    except (MorphstreamError, OSError) as error:
        return str(error)
    return "; ".join(faults)


def test_a_hundred_trials_are_each_refused_with_a_reason_and_the_store_stays(
    made: Publications, tmp_path: Path
) -> None:
    store = booted(made, tmp_path)
    before, tried = store.current(), list[Trial](trials(made))
    for trial in tried:
        layout = Path(shutil.copytree(made.new, tmp_path / "layout"))
        trial.tamper(layout)
        said = outcome(store, layout)
        assert re.search(trial.reason, said), f"{trial.name}: {said or 'nothing was said'}"
        assert store.current() == before, trial.name
        shutil.rmtree(layout)
    store.verify()
    assert outcome(store, made.new) == ""
    assert len(tried) >= 100


def test_what_is_as_it_was_signed_is_installed_and_updated(made: Publications, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    boot(store, source=made.old, machine=MACHINE, root=made.signing.root_file())
    boot(store, source=made.new, machine=MACHINE, update=True)
    assert store.current().is_trusted
    assert {path.name for path in (store.path / "trust").glob("*.json")} == {
        *("1.root.json", "timestamp.json", "snapshot.json", "targets.json")
    }


def refusal(store: Store, layout: Path, root: Path | None = None) -> str:
    """Return why a boot is refused."""
    with pytest.raises(UntrustedError) as refused:
        boot(store, source=layout, machine=MACHINE, update=True, root=root)
    return str(refused.value)


def test_once_a_store_has_a_root_it_asks_for_signatures_whatever_the_environment_says(
    made: Publications, tmp_path: Path
) -> None:
    store, unsigned = booted(made, tmp_path), publish(tmp_path / "unsigned", CPU, build=2)
    assert "it isn't signed" in refusal(store, unsigned)
    report = boot(store, source=unsigned, machine=MACHINE)
    assert report.was_good
    assert report.fallbacks == ("store kept",)


def test_what_a_store_had_before_its_root_is_installed_anew(made: Publications, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    assert not boot(store, source=made.new, machine=MACHINE).was_good
    assert not store.current().is_trusted
    assert not boot(store, source=made.new, machine=MACHINE, root=made.signing.root_file()).was_good
    assert store.current().is_trusted
    assert boot(store, source=made.new, machine=MACHINE).was_good


def test_the_environment_names_a_root_as_the_option_does(
    made: Publications, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORPHSTREAM_ROOT", str(made.signing.root_file()))
    assert "it isn't signed" in refusal(Store(tmp_path / "store"), publish(tmp_path / "unsigned", CPU))


def test_another_publishers_root_is_refused_until_the_folder_is_removed(made: Publications, tmp_path: Path) -> None:
    store, other = booted(made, tmp_path), Signing(tmp_path / "other")
    assert "remove that folder" in refusal(store, made.new, other.root_file())
    shutil.rmtree(store.path / "trust")
    theirs = other.sign(publish(tmp_path / "theirs", CPU))
    assert boot(store, source=theirs, machine=MACHINE, update=True, root=other.root_file()).cache_key


@pytest.mark.parametrize("version", [1, 3])
def test_another_publishers_root_of_another_version_is_refused_and_not_kept(tmp_path: Path, version: int) -> None:
    signing, other = Signing(tmp_path / "keys"), Signing(tmp_path / "other")
    for one in (signing, other):
        one.change()
    layout, store = signing.sign(publish(tmp_path / "layout", CPU)), Store(tmp_path / "store")
    boot(store, source=layout, machine=MACHINE, root=signing.root_file(2))
    other.change()
    theirs = other.sign(publish(tmp_path / "theirs", CPU))
    assert refusal(store, layout, other.root_file(version))
    assert refusal(store, theirs, other.root_file(version))
    assert not (store.path / f"trust/{version}.root.json").exists()
    signing.sign(publish(layout, CPU, build=1))
    boot(store, source=layout, machine=MACHINE, update=True)
    boot(store, source=layout, machine=MACHINE, update=True, root=signing.root_file(1))
    assert (store.path / "trust/1.root.json").read_bytes() == signing.roots[1]


def test_a_newer_root_that_was_given_is_asked_for_even_if_the_source_hides_how_to_follow_to_it(tmp_path: Path) -> None:
    signing, store = Signing(tmp_path / "keys"), Store(tmp_path / "store")
    layout = signing.sign(publish(tmp_path / "layout", CPU))
    boot(store, source=layout, machine=MACHINE, root=signing.root_file(1))
    lost, fresh = signing.key, signing.new_key("fresh")
    stolen = Path(shutil.copytree(layout, tmp_path / "stolen"))
    signing.sign(publish(stolen, CPU, build=3), key=lost)
    signing.change([("publisher", fresh)], [lost])
    signing.change()
    assert "expected root 3 as this machine has it" in refusal(store, stolen, signing.root_file(3))
    assert "expected root 3 as this machine has it" in refusal(store, stolen)
    signing.sign(publish(layout, CPU, build=1), key=fresh)
    boot(store, source=layout, machine=MACHINE, update=True)
    assert "signed by 0/1 keys" in refusal(store, stolen)


def test_a_rotated_key_is_followed_and_a_revoked_one_refused(tmp_path: Path) -> None:
    signing = Signing(tmp_path / "keys")
    layout, store = signing.sign(publish(tmp_path / "layout", CPU)), Store(tmp_path / "store")
    boot(store, source=layout, machine=MACHINE, root=signing.root_file(1))
    lost, fresh = signing.key, signing.new_key("fresh")
    before = Path(shutil.copytree(layout, tmp_path / "before"))
    signing.change([("publisher", fresh)], [lost])
    signing.sign(publish(layout, CPU, build=1), key=fresh)
    boot(store, source=layout, machine=MACHINE, update=True)
    newest = store.current().publication
    assert (store.path / "trust/2.root.json").read_bytes() == signing.roots[2]
    shutil.copyfile(layout / "metadata/2.root.json", before / "metadata/2.root.json")
    assert "signed by" in refusal(store, before)  # the thief publishes on, with the root that revoked the key
    (before / "metadata/2.root.json").unlink()
    assert "expected root 2 as this machine has it" in refusal(store, before) or "signed by" in refusal(store, before)
    assert store.current().publication == newest


def test_lists_and_roots_that_expired_are_refused_with_the_day(tmp_path: Path) -> None:
    signing = Signing(tmp_path / "keys", now=datetime.now(UTC) - timedelta(days=20))
    layout = signing.sign(publish(tmp_path / "layout", CPU))
    assert "timestamp.json is expired" in refusal(Store(tmp_path / "store"), layout, signing.root_file())
    short = Signing(tmp_path / "short", now=datetime.now(UTC) - timedelta(days=3))
    short.change(days=2)
    theirs = short.sign(publish(tmp_path / "theirs", CPU))
    assert "root.json is expired" in refusal(Store(tmp_path / "other"), theirs, short.root_file())


def test_a_clock_that_was_set_back_is_refused(made: Publications, tmp_path: Path) -> None:
    store = booted(made, tmp_path)
    later = time.time() + 86_400
    os.utime(store.path / "trust/seen", (later, later))
    assert "clock to be right" in refusal(store, made.new)


def test_a_model_on_demand_and_code_are_verified_too(made: Publications, tmp_path: Path) -> None:
    store, layout = booted(made, tmp_path), Path(shutil.copytree(made.new, tmp_path / "layout"))
    manifest = layout / "trt_cache" / CPU / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")
    with pytest.raises(UntrustedError, match="as it is signed"):
        add_model(store, "hyperswap_9", FolderSource(layout))
    with pytest.raises(UntrustedError, match="it isn't signed"):
        deploy("develop", tmp_path / "releases", [FolderSource(tmp_path)], root=made.signing.root_file())
    assert (tmp_path / "releases/trust/1.root.json").is_file()


def test_what_is_no_root_document_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "1.root.json"
    for text in ("{}", "[]", "not JSON", '{"signed": {"_type": "targets"}, "signatures": []}'):
        path.write_text(text)
        with pytest.raises(UntrustedError, match="expected a root document that its own keys sign"):
            boot(tmp_path / "store", source=tmp_path, machine=MACHINE, root=path)


def test_a_damaged_folder_of_trust_is_said_in_a_line_and_the_store_goes_on(made: Publications, tmp_path: Path) -> None:
    store = booted(made, tmp_path)
    path = store.path / "trust/timestamp.json"
    path.write_bytes(path.read_bytes()[:50])
    assert "seen a damaged file" in refusal(store, made.new)
    assert boot(store, source=made.new, machine=MACHINE).fallbacks == ("store kept",)
    path.unlink()
    assert boot(store, source=made.new, machine=MACHINE, update=True).was_good
    (store.path / "trust/1.root.json").write_bytes(b"{}")
    assert "a root that can't be read" in str(diagnose(store, MACHINE))
