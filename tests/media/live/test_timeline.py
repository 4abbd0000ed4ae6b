"""Times of an input go on, whatever its clock does, and pictures keep their distance from sound."""

from fractions import Fraction

from morphstream.media.live.timeline import Timeline


def _times(timeline: Timeline, *given: tuple[str, float]) -> list[float]:
    return [float(timeline.time_of(kind, Fraction(raw))) for kind, raw in given]


def test_times_begin_at_zero_and_keep_their_distances() -> None:
    assert _times(Timeline(lambda: 0.0), ("pictures", 50.0), ("sound", 50.25), ("pictures", 50.5)) == [0, 0.25, 0.5]


def test_a_clock_that_jumps_back_or_ahead_goes_on_by_what_has_passed() -> None:
    now = [0.0]
    timeline = Timeline(lambda: now[0])
    assert _times(timeline, ("pictures", 100.0), ("pictures", 100.5)) == [0, 0.5]
    now[0] = 0.25
    assert _times(timeline, ("pictures", 7.0), ("pictures", 7.5)) == [0.75, 1.25]
    now[0] = 2.25
    assert _times(timeline, ("pictures", 7000.0), ("pictures", 7000.5)) == [3.25, 3.75]


def test_sound_follows_a_jump_of_pictures_and_stays_with_them() -> None:
    timeline = Timeline(lambda: 0.0)
    before = [("pictures", 100.0), ("sound", 100.0), ("pictures", 100.5)]
    after = [("pictures", 3.0), ("sound", 100.25), ("sound", 2.75), ("pictures", 3.5), ("sound", 3.25)]
    assert _times(timeline, *before, *after) == [0, 0, 0.5, 0.5, 0.25, 0.25, 1.0, 0.75]


def test_small_steps_back_are_no_jump() -> None:
    assert _times(Timeline(lambda: 0.0), ("sound", 5.0), ("sound", 4.5), ("sound", 5.5)) == [0, -0.5, 0.5]


def test_after_an_hour_without_a_connection_times_go_on_ten_seconds_later() -> None:
    now = [0.0]
    timeline = Timeline(lambda: now[0])
    assert _times(timeline, ("pictures", 1.0), ("pictures", 2.0)) == [0, 1]
    timeline.restart()
    now[0] = 3600
    assert _times(timeline, ("pictures", 1.0), ("sound", 1.5)) == [11, 11.5]


def test_sound_that_was_read_ahead_of_pictures_makes_no_gap_where_a_file_begins_anew() -> None:
    timeline = Timeline(lambda: 0.0)
    assert _times(timeline, ("pictures", 0.0), ("sound", 0.0), ("sound", 1.0), ("pictures", 0.5)) == [0, 0, 1, 0.5]
    timeline.restart()
    assert _times(timeline, ("pictures", 0.0), ("sound", 0.0)) == [0.5, 0.5]
