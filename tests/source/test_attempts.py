"""Sources are tried in turn: the first that succeeds decides, and the error of the last one is raised."""

from collections.abc import Callable

import pytest

from morphstream.artifact.errors import DigestMismatchError, FetchError, NoEngineError, SourceError
from morphstream.source.attempts import first_result


def failing(error: Exception) -> Callable[[], str]:
    def attempt() -> str:
        raise error

    return attempt


def test_what_fails_is_passed_over_until_one_succeeds() -> None:
    errors = [FetchError("gone"), DigestMismatchError("a file", 1, 2)]
    passed = list[SourceError]()
    never = failing(AssertionError("tried after a success"))
    assert first_result([*map(failing, errors), lambda: "done", never], passed.append) == "done"
    assert passed == errors


def test_where_all_fail_the_last_one_says_why() -> None:
    passed = list[SourceError]()
    with pytest.raises(NoEngineError, match=r"^second$"):
        first_result([failing(FetchError("first")), failing(NoEngineError("second"))], passed.append)
    assert [str(error) for error in passed] == ["first"]


def test_what_no_other_source_can_mend_is_raised_at_once() -> None:
    with pytest.raises(OSError, match="No space left"):
        first_result([failing(OSError("No space left")), lambda: "done"], lambda _: None)


def test_without_anything_to_try_the_refusal_is_the_callers() -> None:
    with pytest.raises(NoEngineError, match=r"^name a source$"):
        first_result([], lambda _: None, "name a source")
