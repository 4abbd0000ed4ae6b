"""Everything that artifacts can refuse, split by what the caller can do about it."""

MOST_LETTERS = 500  # of a message; what is cut out of a longer one is in its middle: the remedy is at its end
_CUT = " ... "


def message_of(text: object, most: int = MOST_LETTERS) -> str:
    """Return a text, or the message of an error, as one line of at most so many letters that can be printed."""
    line = " ".join(str(text).split())
    line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
    if len(line) <= most:
        return line
    end = most * 2 // 5
    return f"{line[: most - end - len(_CUT)].rstrip()}{_CUT}{line[-end:].lstrip()}"


class MorphstreamError(Exception):
    """Base of every refusal; its message is one line: what, expected, seen, what to do."""

    def __str__(self) -> str:
        return message_of(super().__str__())


class SourceError(MorphstreamError):
    """What a source gives can't be used here; another source may give what can."""


class ManifestError(SourceError):
    """A manifest breaks its format.

    Attributes:
        where: Path of the fault, such as ``engine_files['a.engine'].sha256``; empty for the whole document.
        message: What was expected there, and what was seen.
    """

    def __init__(self, where: str, message: str) -> None:
        super().__init__(where, message)  # both, so that it can be pickled into another process
        self.where = where
        self.message = message

    def __str__(self) -> str:
        return message_of(f"{self.message} in '{self.where}'" if self.where else self.message)


class DigestMismatchError(SourceError):
    """Bytes are not the ones that were named; fetch or build them again."""

    def __init__(self, what: str, expected: object, observed: object) -> None:
        super().__init__(f"{what}: expected {expected}, seen {observed}; fetch or build it again")
        self.expected, self.observed = expected, observed


class UntrustedError(SourceError):
    """A publication isn't signed as the configured root says, or is older than what this machine has verified."""


class UnsafeArchiveError(SourceError):
    """An archive holds something other than exactly the files it should hold."""


class NoEngineError(SourceError):
    """No engine for this machine, or for the model asked for; boot or build it."""


class ToolchainMismatchError(MorphstreamError):
    """The machine's libraries are not the ones a target declares; install those or change the target."""

    def __init__(self, what: str, library: str, declared: str, actual: str | None) -> None:
        seen = f"this machine has {actual}" if actual else "this machine has none"
        super().__init__(f"{what}: declared {library} {declared}, {seen}; install {declared} or change the target")
        self.declared, self.actual = declared, actual


class FetchError(SourceError):
    """A source can't give what was asked for."""


class AbsentError(FetchError):
    """A source answers, and has no such file."""


class ModelError(MorphstreamError):
    """An ONNX model is broken, or is not what its role promises."""


class SessionError(MorphstreamError):
    """An engine can't be opened, or gave something unusable."""


class NoFaceError(MorphstreamError):
    """An image shows no face where one is needed."""


class ImageError(MorphstreamError):
    """A file is no image that can be read or written."""


class VideoError(MorphstreamError):
    """A file is no video that can be read or written."""


class FrameError(MorphstreamError):
    """A frame of a stream was refused; its message names the frame, its cause is the refusal."""


class UseError(MorphstreamError, RuntimeError):
    """What is open is used otherwise than it may be: by a second thread, in a forked process, or closed."""


class ShortageError(MorphstreamError):
    """This process may have less memory or fewer threads than what it was asked for needs."""
