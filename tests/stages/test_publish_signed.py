"""What is published is signed in the same commit, and a publisher keeps nothing that nobody signed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from morphstream.artifact.errors import MorphstreamError
from morphstream.source.hub import HubSource
from morphstream.source.publication import Publication
from morphstream.source.verify import verify_publication
from morphstream.store.trust import trust_of
from stages.hub.repository import Repository as Published
from stages.publish.__main__ import publish
from stages.publish.deployed import DeployError, fetch_deployed
from stages.publish.local import WHAT, local
from stages.publish.plan import Plan, Tip
from stages.publish.send import Sent
from stages.publish.send import send as send_plan
from stages.sign.documents import LISTS
from stages.sign.keys import SignError
from stages.sign.publisher import Publisher
from tests.loopback.server import READ_TOKEN, Hub
from tests.signing import Signing
from tests.stages.publications import CORE, FOLDER, MASKS, NAME, Project

Make = Callable[..., Project]


def send(hub: Hub, project: Project, publisher: Publisher | None, *, is_dry: bool = False, expected: str = "") -> Sent:
    """Publish build/."""
    repository = Published(NAME, endpoint=hub.endpoint, pauses_s=(0.0, 0.0))
    found = local(project.workspace, project.params, WHAT)
    build = project.workspace.build
    return publish(
        build, project.params, found, repository, "all", publisher=publisher, is_dry=is_dry, expected=expected
    )


def served_bytes(hub: Hub, path: str) -> bytes:
    """Return what the tip holds under a path."""
    repository = hub.repository(NAME)
    return repository.read(repository.files(repository.tip())[path])


def source(hub: Hub) -> HubSource:
    """Return the repository as a worker reads it."""
    return HubSource(NAME, endpoint=hub.endpoint, token=READ_TOKEN, pauses_s=())


def test_what_is_published_is_signed_and_workers_find_all_of_it_as_it_was(
    hub: Hub, project: Make, tmp_path: Path
) -> None:
    signing = Signing(tmp_path / "keys")
    send(hub, project(*CORE), signing.publisher())
    sent = send(hub, project(*MASKS), signing.publisher())
    assert "metadata/timestamp.json" in sent.plan.added
    trust = trust_of(tmp_path / "store", signing.root_file())
    assert trust
    publication = Publication(source(hub), trust=trust)
    found = verify_publication(publication)
    assert not found.faults
    assert {"README.md", "manifests/archives.json", "manifests/models.json"} < set(found.documents)
    assert trust.faults(source(hub)) == []


def test_publishing_again_adds_nothing_and_a_plan_is_known_again_later(hub: Hub, project: Make, tmp_path: Path) -> None:
    signing, mine = Signing(tmp_path / "keys"), project(*CORE)
    send(hub, project(*MASKS), signing.publisher())
    shown = send(hub, mine, signing.publisher(), is_dry=True).plan.identity
    later = replace(signing.publisher(), now=signing.now + timedelta(minutes=5))
    send(hub, mine, later, expected=shown)
    assert send(hub, mine, signing.publisher()).plan.is_empty


def test_a_signed_repository_isnt_published_to_without_signing(hub: Hub, project: Make, tmp_path: Path) -> None:
    send(hub, project(*CORE), Signing(tmp_path / "keys").publisher())
    with pytest.raises(MorphstreamError, match="expected the key signing in params"):
        send(hub, project(*MASKS), None)


def test_what_others_changed_without_signing_is_not_signed_with_ours(hub: Hub, project: Make, tmp_path: Path) -> None:
    signing = Signing(tmp_path / "keys")
    send(hub, project(*CORE), signing.publisher())
    hub.repository(NAME).commit(None, "by hand", {"manifests/archives.json": b"{}"})
    with pytest.raises(SignError, match=r"published manifests/archives.json: expected it as it was signed"):
        send(hub, project(*MASKS), signing.publisher())


@pytest.mark.parametrize(
    "stripped",
    [
        pytest.param(LISTS, id="no-lists"),
        pytest.param(LISTS[:1], id="no-targets"),
        pytest.param(("metadata/1.root.json",), id="no-root"),
        pytest.param((*LISTS, "metadata/1.root.json"), id="no-metadata"),
    ],
)
def test_what_somebody_stripped_of_its_signatures_is_not_signed_anew(
    hub: Hub, project: Make, tmp_path: Path, stripped: tuple[str, ...]
) -> None:
    signing = Signing(tmp_path / "keys")
    send(hub, project(*CORE), signing.publisher())
    repository = hub.repository(NAME)
    repository.commit(None, "by hand", {"NOTICE": b"others' words"}, stripped)
    mine = project(*MASKS)
    for is_dry in (False, True):
        with pytest.raises(SignError, match=r"published .*: expected .* seen .*revert the commit"):
            send(hub, mine, signing.publisher(), is_dry=is_dry)


def test_older_lists_beside_newer_ones_and_a_removed_document_are_not_signed_anew(
    hub: Hub, project: Make, tmp_path: Path
) -> None:
    signing = Signing(tmp_path / "keys")
    send(hub, project(*CORE), signing.publisher())
    repository = hub.repository(NAME)
    first = {path: served_bytes(hub, path) for path in (*LISTS, "manifests/archives.json", "manifests/models.json")}
    send(hub, project(*MASKS), signing.publisher())
    tip = repository.tip()
    older = {path: first[path] for path in first if path not in LISTS[1:]}
    repository.commit(None, "older targets", older)
    with pytest.raises(SignError, match=r"published metadata/targets.json: expected it as the other lists name it"):
        send(hub, project(*MASKS, turn=1), signing.publisher())
    repository.commit(None, "reverted", {path: repository.read(repository.files(tip)[path]) for path in older})
    repository.commit(None, "removed", {}, [f"{FOLDER}/manifest.json"])
    with pytest.raises(SignError, match=r"published trt_cache/.*/manifest.json: expected it as it was signed"):
        send(hub, project(*MASKS, turn=2), signing.publisher())


def test_what_was_never_signed_is_signed_where_that_is_asked(hub: Hub, project: Make, tmp_path: Path) -> None:
    signing = Signing(tmp_path / "keys")
    send(hub, project(*CORE), None)
    mine = project(*MASKS)
    with pytest.raises(SignError, match="run with --first-signature"):
        send(hub, mine, signing.publisher())
    send(hub, mine, replace(signing.publisher(), is_first=True))
    assert "metadata/timestamp.json" in hub.repository(NAME).files(hub.repository(NAME).tip())


def test_a_tag_goes_back_to_what_was_signed_alone(hub: Hub, project: Make, tmp_path: Path) -> None:
    signing = Signing(tmp_path / "keys")
    send(hub, project(*CORE), signing.publisher())
    repository = hub.repository(NAME)
    signed = repository.tip()
    forged = repository.commit(None, "by hand", {"manifests/archives.json": b'{"archives": {}, "format_version": 1}'})

    def back(revision: str) -> None:
        there = Published(NAME, endpoint=hub.endpoint, pauses_s=(0.0, 0.0))
        fetch_deployed(there, revision, ["develop"], tmp_path, signing.publisher())

    with pytest.raises(SignError, match=r"published manifests/archives.json: expected it as it was signed"):
        back(forged)
    with pytest.raises(DeployError, match=r"deploy develop: expected deploy/develop/app_code.tar.zst at "):
        back(signed)


def test_renewing_changes_the_timestamp_alone_until_the_lists_are_old(hub: Hub, project: Make, tmp_path: Path) -> None:
    signing = Signing(tmp_path / "keys")
    send(hub, project(*CORE), signing.publisher())
    repository = Published(NAME, endpoint=hub.endpoint, pauses_s=(0.0, 0.0))

    def renewed(days: int) -> list[str]:
        publisher = replace(signing.publisher(), now=signing.now + timedelta(days=days))

        def compose(tip: Tip) -> Plan:
            return Plan.of(tip, publisher.renewed(tip), ())

        return send_plan(repository, compose, lambda _: "Renew", is_dry=False, private_models={}).plan.added

    assert renewed(10) == ["metadata/timestamp.json"]
    with pytest.raises(SignError, match="set the clock"):
        renewed(9)
    assert renewed(300) == [f"metadata/{name}.json" for name in ("snapshot", "targets", "timestamp")]
    hub.repository(NAME).commit(None, "by hand", {}, LISTS[1:2])
    with pytest.raises(SignError, match=r"published metadata/snapshot.json: expected all that is signed, seen none"):
        renewed(301)


def test_a_strangers_root_or_key_is_refused(hub: Hub, project: Make, tmp_path: Path) -> None:
    signing, other = Signing(tmp_path / "keys"), Signing(tmp_path / "other")
    mine = project(*CORE)
    send(hub, mine, signing.publisher())
    with pytest.raises(SignError, match="published root 1: expected that of manifests/root"):
        send(hub, mine, other.publisher())
    with pytest.raises(SignError, match="expected a publisher's key of root 1"):
        send(hub, project(*MASKS), signing.publisher(key=other.key))
