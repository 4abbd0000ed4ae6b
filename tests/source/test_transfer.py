"""A call that can't be interrupted is left behind after its time, and what it returns later is discarded."""

import threading

import pytest

from morphstream.source.transfer import Transfer


def test_a_late_result_is_discarded() -> None:
    go_on, discarded = threading.Event(), threading.Event()

    def call() -> str:
        go_on.wait()
        return "late"

    with pytest.raises(TimeoutError):
        Transfer().call(call, discard=lambda _: discarded.set(), timeout_s=0.01)
    go_on.set()
    assert discarded.wait(10)


def test_a_result_and_an_error_in_time_are_the_function_s() -> None:
    def fail() -> None:
        raise TimeoutError("its own")

    assert Transfer().call(lambda: 1, timeout_s=10) == 1
    with pytest.raises(TimeoutError, match="its own"):
        Transfer().call(fail, timeout_s=10)
