"""What is open is used by one thread at a time, in its own process, until it is closed; all else is refused at once."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from morphstream.artifact.errors import MorphstreamError, UseError
from morphstream.session.guarded import GuardedSession
from morphstream.session.session import Array
from morphstream.store.store import Store
from morphstream.turns import Turns


class Blocking:
    """A session whose run lasts until it is told to end; it counts how often it was closed."""

    input_shapes: Mapping[str, tuple[int, ...]] = {"x": (-1,)}
    sizes: Sequence[tuple[int, int]] = ()

    def __init__(self) -> None:
        self.begun, self.end, self.closed = threading.Event(), threading.Event(), 0

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return the inputs."""
        self.begun.set()
        assert self.end.wait(30)
        return inputs

    def close(self) -> None:
        """Count."""
        self.closed += 1


def test_a_session_in_use_refuses_a_second_thread_and_serves_it_later() -> None:
    inner = Blocking()
    session = GuardedSession("det_10g", inner)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(session.run, {})
        assert inner.begun.wait(30)
        with pytest.raises(
            UseError, match=r"^det_10g: expected one thread at a time, seen a second; open one for each"
        ):
            session.run({})
        inner.end.set()
        assert first.result() == session.run({}) == {}


def test_a_closed_session_refuses_and_was_closed_once() -> None:
    inner = Blocking()
    session = GuardedSession("det_10g", inner)
    session.close()
    session.close()
    assert inner.closed == 1
    with pytest.raises(UseError, match=r"^det_10g: expected it open, seen it closed; open another$") as caught:
        session.run({})
    assert isinstance(caught.value, MorphstreamError)


def test_it_is_closed_when_the_use_of_another_thread_has_ended() -> None:
    inner = Blocking()
    session = GuardedSession("det_10g", inner)
    with ThreadPoolExecutor(2) as pool:
        used = pool.submit(session.run, {})
        assert inner.begun.wait(30)
        closing = pool.submit(session.close)
        assert inner.closed == 0
        inner.end.set()
        closing.result()
        assert (used.result(), inner.closed) == ({}, 1)


def test_a_thread_that_waited_for_what_is_closed_meanwhile_is_refused() -> None:
    turns, refused = Turns("swapper"), list[str]()

    def use() -> None:
        try:
            with turns:
                pass
        except UseError as error:
            refused.append(str(error))

    with turns:
        waiting = threading.Thread(target=use)
        waiting.start()
        turns._is_open = False
    waiting.join()
    assert refused == ["swapper: expected it open, seen it closed; open another"]


# Forked, as by multiprocessing on Linux, while another thread uses the swapper; pytest's own process is never forked.
FORKED = """
import os, sys, threading
from contextlib import suppress
import numpy as np
import morphstream
from morphstream.artifact.errors import UseError
from morphstream.face.types import FoundFaces

swap, frame = morphstream.open(sys.argv[1], threads=1), np.zeros((64, 64, 3), np.uint8)
found, held, end = FoundFaces(frame=frame, faces=[], assignment={}), threading.Event(), threading.Event()

def hold():
    with swap.analyser._turns, swap.swapper._turns:
        held.set()
        end.wait()

threading.Thread(target=hold, daemon=True).start()
held.wait()
if child := os.fork():
    end.set()
    _, status = os.waitpid(child, 0)
    assert np.array_equal(swap(frame, {}), frame)
    swap.close()
    print(status)
else:
    for call in (swap.detect, swap.identify, lambda frame: swap(frame, {}), lambda _: swap.swapper.swap(found),
                 lambda _: swap.use("inswapper_128"), lambda frame: swap.embed(frame, [])):
        try:
            call(frame)
        except UseError as error:
            print("forked from it; open one in each process" in str(error), flush=True)
    swap.close()
    with morphstream.open(sys.argv[1], threads=1) as own:
        print(np.array_equal(own(frame, {}), frame), flush=True)
    sys.exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_is_refused_what_its_parent_opened_and_opens_its_own(booted: Store) -> None:
    command = [sys.executable, "-c", FORKED, str(booted.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.split(), done.stderr) == (["True"] * 7 + ["0"], "")
