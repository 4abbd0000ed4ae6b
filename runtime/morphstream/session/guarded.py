"""A session that is used as it may be: by one thread at a time, in the process that opened it, until it is closed."""

import os
import time
from collections.abc import Mapping, Sequence
from threading import local
from typing import ClassVar
from weakref import WeakSet

from morphstream.session.session import Array, Session
from morphstream.turns import Turns

_spent = local()


def engine_seconds() -> float:
    """Return for how many seconds engines have run in this thread."""
    return getattr(_spent, "seconds", 0.0)


class GuardedSession:
    """An opened engine that refuses another use at once, where libraries would wait for ever or mix two requests."""

    _opened: ClassVar = WeakSet["GuardedSession"]()
    _has_opened = _keeps_next = False  # of this process

    def __init__(self, model: str, session: Session) -> None:
        self._session, self._turns = session, Turns(model, waits=False)
        self._is_kept, GuardedSession._keeps_next, GuardedSession._has_opened = self._keeps_next, False, True
        self._opened.add(self)
        if self._is_kept:
            _keep(self)

    @property
    def input_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each input; -1 where an axis is dynamic."""
        return self._session.input_shapes

    @property
    def sizes(self) -> Sequence[tuple[int, int]]:
        """Width and height of further images that it takes, one at a time."""
        return self._session.sizes

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return every output by name, as any session; raises UseError, too."""
        with self._turns:
            begun = time.perf_counter()
            outputs = self._session.run(inputs)
            _spent.seconds = engine_seconds() + time.perf_counter() - begun
        return outputs

    def close(self) -> None:
        """Release the engine, once; a forked process leaves it to its parent."""
        if self._turns.close() and not self._is_kept:
            self._session.close()

    @classmethod
    def keep_all(cls) -> None:
        """Keep what the parent opened, in a forked process: OpenVINO would wait for threads that this process lacks.

        If the parent has opened any, the first that is opened here is kept, too: when none is left, the threading
        library ends the parent's threads, and crashes.
        """
        for session in cls._opened:
            _keep(session)
        cls._keeps_next = cls._has_opened


def _keep(session: GuardedSession) -> None:
    """Keep a session until the process has ended."""
    import ctypes  # here, as few processes fork

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))


os.register_at_fork(after_in_child=GuardedSession.keep_all)
