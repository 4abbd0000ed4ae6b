"""However an answer is spoilt, at any of its bytes: a boot is right, or refused in one line, and it ends."""

import os
from pathlib import Path

from morphstream.artifact.errors import MorphstreamError
from morphstream.boot.boot import boot
from morphstream.source.hub import HubSource
from morphstream.store.store import Store
from tests.layouts import MACHINE
from tests.loopback.relay import Relay, Spoilt
from tests.loopback.repository import Repository
from tests.loopback.server import Hub
from tests.source.hub.answering import NAME

EXAMPLES = int(os.environ.get("MORPHSTREAM_EXAMPLES", "25"))  # bench/hub_manners.py times them, too
TIMEOUT_S = 0.2


def test_it_is_right_or_one_line(hub: Hub, served: Repository, tmp_path: Path) -> None:
    for seed in range(EXAMPLES):
        store = Store(tmp_path / f"store-{seed}")
        with Relay(hub, Spoilt.of(seed, pause_s=TIMEOUT_S / 50)) as relay:
            try:
                boot(store, source=HubSource(NAME, endpoint=relay.endpoint, timeout_s=TIMEOUT_S), machine=MACHINE)
            except MorphstreamError as error:
                line = str(error)
                assert ": expected " in line, f"seed {seed}"
                assert "\n" not in line, f"seed {seed}"
                assert len(line) <= 500, f"seed {seed}"
                assert not (store.path / "current.json").exists(), f"seed {seed}"
            else:
                store.verify()
