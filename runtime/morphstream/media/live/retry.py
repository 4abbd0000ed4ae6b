"""How long to wait before something that failed is tried again."""

from collections.abc import Iterator
from itertools import chain, repeat

STEADY_S = 10.0  # what went well for this long begins anew with the shortest wait


def waits_s() -> Iterator[float]:
    """Yield the seconds to wait after each failure in turn: 1, 2, 4 up to 30."""
    return chain((1, 2, 4, 8, 16), repeat(30))
