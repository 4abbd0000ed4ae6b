"""Try several sources in turn."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from morphstream.artifact.errors import NoEngineError, SourceError

T = TypeVar("T")


def first_result(attempts: Iterable[Callable[[], T]], pass_over: Callable[[SourceError], object], none: str = "") -> T:
    """Return the result of the first attempt that succeeds; the error of the last one is raised.

    Args:
        attempts: What to try, in order; after a SourceError the next one is tried.
        pass_over: Called with each error after which another attempt is made.
        none: Message of the NoEngineError that is raised where there is nothing to try.
    """
    failure: SourceError | None = None
    for attempt in attempts:
        if failure:
            pass_over(failure)
        try:
            return attempt()
        except SourceError as error:
            failure = error
    raise failure or NoEngineError(none)
