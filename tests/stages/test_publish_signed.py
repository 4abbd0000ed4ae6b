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
from stages.publish.local import WHAT, local
from stages.publish.send import Sent
from stages.sign.keys import SignError
from stages.sign.publisher import Publisher
from tests.loopback.server import READ_TOKEN, Hub
from tests.signing import Signing
from tests.stages.publications import CORE, MASKS, NAME, Project

Make = Callable[..., Project]


def send(hub: Hub, project: Project, publisher: Publisher | None, *, is_dry: bool = False, expected: str = "") -> Sent:
    """Publish build/."""
    repository = Published(NAME, endpoint=hub.endpoint, pauses_s=(0.0, 0.0))
    found = local(project.workspace, project.params, WHAT)
    build = project.workspace.build
    return publish(
        build, project.params, found, repository, "all", publisher=publisher, is_dry=is_dry, expected=expected
    )


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


def test_a_strangers_root_or_key_is_refused(hub: Hub, project: Make, tmp_path: Path) -> None:
    signing, other = Signing(tmp_path / "keys"), Signing(tmp_path / "other")
    mine = project(*CORE)
    send(hub, mine, signing.publisher())
    with pytest.raises(SignError, match="published root 1: expected that of manifests/root"):
        send(hub, mine, other.publisher())
    with pytest.raises(SignError, match="expected a publisher's key of root 1"):
        send(hub, project(*MASKS), signing.publisher(key=other.key))
