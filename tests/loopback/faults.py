"""What can go wrong on the way to a hub and back, switched on request by request."""

import json
import re
import threading
from dataclasses import asdict, dataclass
from typing import Any

OF_BODIES = ("cut", "corrupt", "short", "drip")
KINDS = ("status", "cut", "lost", "corrupt", "short", "drip", "stale")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of some requests.

    Attributes:
        kind: ``status``: the hub refuses. ``cut``: the connection ends after `at` bytes of the body, of the request
            where that has one, else of the answer. ``lost``: the hub does what it was asked for, and the connection
            ends before it answers. ``corrupt``: a byte of the answer is another. ``short``: it announces and sends `at`
            bytes. ``drip``: it comes in parts of `at` bytes, `pause_s` apart. ``stale``: it is as of the commit
            before the tip.
        method: Of the requests, as a regular expression.
        path: The same, found anywhere in the path.
        times: How many requests; None for all.
        after: How many go well before.
        status: Of a refusal.
        code: Its X-Error-Code, such as ``RepoNotFound``.
        message: Its X-Error-Message.
        retry_after: Its Retry-After.
        is_echo: Whether its message repeats the request's authorization.
        at: A number of bytes.
        pause_s: Between parts.

    Raises:
        ValueError: A value isn't of its kind.
    """

    kind: str
    method: str = ""
    path: str = ""
    times: int | None = 1
    after: int = 0
    status: int = 503
    code: str = ""
    message: str = "a fault that was asked for"
    retry_after: str = ""
    is_echo: bool = False
    at: int = 1000
    pause_s: float = 0.01

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"expected one of {', '.join(KINDS)}, seen {self.kind!r}")
        for name, (least, most) in {"status": (400, 599), "at": (int(self.kind == "drip"), 1 << 40)}.items():
            value = getattr(self, name)
            if not isinstance(value, int) or not least <= value <= most:
                raise ValueError(f"expected {name} from {least} to {most}, seen {value!r}")
        for name in ("method", "path"):
            try:
                re.compile(getattr(self, name))
            except (re.error, TypeError) as fault:
                raise ValueError(f"expected {name} as a regular expression, seen a fault: {fault}") from None
        if self.times is not None and not isinstance(self.times, int):
            raise ValueError(f"expected a number of times or none, seen {self.times!r}")


class Faults:
    """The faults that are switched on, in the order in which they were; each request meets the first of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[tuple[Fault, list[int]]] = []  # with the number of requests that it was asked about

    def add(self, fault: Fault) -> None:
        """Switch a fault on."""
        with self._lock:
            self._faults.append((fault, [0]))

    def clear(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._faults.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault of a request, and count it."""
        with self._lock:
            for fault, asked in self._faults:
                if method == "HEAD" and fault.kind in OF_BODIES:
                    continue  # or it would be used up by the client's look before each download
                if re.search(fault.method, method) and re.search(fault.path, path):
                    asked[0] += 1
                    if asked[0] > fault.after and (fault.times is None or asked[0] <= fault.after + fault.times):
                        return fault
        return None

    def to_json(self) -> str:
        """Return the faults as a list."""
        with self._lock:
            return json.dumps([asdict(fault) for fault, _ in self._faults])

    @staticmethod
    def from_json(text: str) -> Fault:
        """Read one fault.

        Raises:
            ValueError: It is none.
        """
        try:
            data: dict[str, Any] = json.loads(text)
            return Fault(**data)
        except TypeError as error:
            raise ValueError(str(error)) from None
