"""A session that is used as it may be: by one thread at a time, in the process that opened it, until it is closed."""

import os
from collections.abc import Mapping
from weakref import WeakSet

from morphstream.session.session import Array, Session
from morphstream.turns import Turns

_opened = WeakSet["GuardedSession"]()


class GuardedSession:
    """An opened engine that refuses another use at once, where libraries would wait for ever or mix two requests."""

    def __init__(self, model: str, session: Session) -> None:
        self._session, self._turns = session, Turns(model, waits=False)
        _opened.add(self)

    @property
    def input_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each input; -1 where an axis is dynamic."""
        return self._session.input_shapes

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return every output by name, as any session; raises UseError, too."""
        with self._turns:
            return self._session.run(inputs)

    def close(self) -> None:
        """Release the engine, once; a forked process leaves it to its parent."""
        if self._turns.close():
            self._session.close()


def _keep() -> None:
    """Keep every engine of the parent for ever: OpenVINO's would wait for threads that a forked process lacks."""
    import ctypes  # here, as few processes fork

    for session in _opened:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))


os.register_at_fork(after_in_child=_keep)
