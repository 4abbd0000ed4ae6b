"""A page offers the swap models of the store, and those that its sources publish, of which it can fetch more."""

import threading
from pathlib import Path

import pytest

from morphstream.boot.boot import boot
from morphstream.cli.page_models import PageModels
from morphstream.source.folder import FolderSource
from morphstream.store.store import Store
from tests.layouts import CPU, FILES, MACHINE, ON_DEMAND, publish


def offered(store: Store, *sources: Path) -> dict[str, bool]:
    """Return the models once the sources were read."""
    models = PageModels(store, [FolderSource(source) for source in sources])
    for thread in threading.enumerate():
        if thread.name == "morphstream-published":
            thread.join()
    return dict(models())


def test_what_the_store_lacks_is_offered_of_the_sources_that_can_be_read(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = publish(tmp_path / "source", CPU, files=(*FILES, *ON_DEMAND))
    boot(store, source=FolderSource(source), machine=MACHINE, groups=["core", "hyperswap_1a_256"])
    everything = {"hyperswap_1a_256": True, "hyperswap_1b_256": False, "inswapper_128": False}
    assert offered(store) == {"hyperswap_1a_256": True}
    with caplog.at_level("INFO", "morphstream.live"):
        assert offered(store, tmp_path / "nowhere", source) == everything
    assert "nowhere: expected" in caplog.text
