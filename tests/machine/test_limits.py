"""Too little memory and too few threads are found before a library crashes for want of them."""

from pathlib import Path
from threading import Thread

import pytest

from morphstream.machine.limits import MEMORY_BYTES, find_shortages


def found(*memory_limits: Path) -> list[str]:
    return find_shortages(threads=2, address_bytes=1 << 20, memory_limits=memory_limits)


def test_a_process_with_enough_lacks_nothing(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "limit").write_text(f"{MEMORY_BYTES}\n")
    assert found(*(tmp_path / name for name in ("memory.max", "limit", "none"))) == []


def test_a_containers_limit_of_memory_is_named(tmp_path: Path) -> None:
    path = tmp_path / "memory.max"
    path.write_text(f"{100 << 20}\n")
    expected = f"memory: expected 224 MiB, seen a limit of 100 MiB ({path}); raise the container's limit"
    assert found(path) == [expected]


def test_address_space_that_cannot_be_mapped_is_told() -> None:
    (told,) = find_shortages(threads=1, address_bytes=1 << 60, memory_limits=[])
    assert told.endswith("more of address space, seen less; raise the limit (ulimit -v)")


def test_threads_that_cannot_be_started_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Few(Thread):
        left = 3

        def start(self) -> None:
            if Few.left == 0:
                raise RuntimeError("can't start new thread")
            Few.left -= 1
            super().start()

    monkeypatch.setattr("morphstream.machine.limits.Thread", Few)
    (told,) = find_shortages(threads=5, address_bytes=1 << 20, memory_limits=[])
    assert told.startswith("threads: expected 5 more, seen 3; raise the limit (ulimit -u")
