"""What holds something open gives itself to a block, and is closed once at its end, after an error, too."""

import pytest

from morphstream.closing import Closing


class Counted(Closing):
    """Counts how often it was closed."""

    closed = 0

    def close(self) -> None:
        """Count."""
        self.closed += 1


def test_it_is_closed_at_the_end_of_the_block() -> None:
    with (made := Counted()) as given:
        assert given is made
        assert made.closed == 0
    assert made.closed == 1


def test_it_is_closed_after_an_error_which_goes_on() -> None:
    made = Counted()
    with pytest.raises(ValueError, match="seen"), made:
        raise ValueError("seen")
    assert made.closed == 1
