"""The judge knows right from wrong, or nothing would be shown by what it says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from tests.cache.chaos.judge import History, Span, Written, judged, standstill
from tests.cache.chaos.terms import BUDGET, STALENESS, TERMS
from tests.cache.chaos.traffic import BEAT, Act, Beat, Told
from tests.cache.chaos.truth import Commit

if TYPE_CHECKING:
    from collections.abc import Sequence

SLACK = STALENESS + BUDGET
WELL = Beat(12.005, 0, False, True)


def read(number: int | None, begin: float, end: float, name: str = "read-through") -> Act:
    return Act(0, "read", name, 1, number, begin, end, "", 0)


def wrote(number: int, begin: float, end: float, name: str = "read-through", order: int = 0) -> Act:
    return Act(0, "write", name, 1, number, begin, end, "", 0, order)


def commit(number: int, order: int, begin: float, end: float, name: str = "read-through") -> Commit:
    return Commit(name, 1, number, order, begin, end)


HISTORY = History([(7, Written(1, 10, 11)), (8, Written(2, 20, 21)), (9, Written(3, 20.5, 20.8))])


@pytest.mark.parametrize(
    ("number", "begin", "end", "age", "why"),
    [
        (0, 9, 9.1, 0, ""),
        (0, 10.9, 10.95, 0, ""),  # the write is under way
        (7, 10.5, 10.6, 0, ""),
        (0, 13, 13.1, 2, ""),
        (7, 25, 25.1, 4.2, ""),  # the later one was known earlier
        (8, 25, 25.1, 4.2, ""),
        (9, 99, 99.1, 0, ""),
        (7, 8, 9, 0, "future"),
        (5, 8, 9, 0, "nowhere"),
        (None, 8, 9, 0, "nothing"),
    ],
)
def test_the_age_of_what_was_read(
    number: int | None, begin: float, end: float, age: float, why: str
) -> None:
    found, said = HISTORY.age(read(number, begin, end))
    assert found == pytest.approx(age)
    assert why in said
    assert bool(why) == bool(said)


def test_a_write_that_nobody_knows_of_may_be_read_and_outdates_nothing() -> None:
    history = History([(7, Written(math.inf, 10, math.inf)), (8, Written(1, 20, 21))])
    assert history.age(read(7, 50, 51)) == (0, "")
    assert history.age(read(8, 50, 51)) == (0, "")
    assert history.age(read(0, 50, 51)) == (29, "")


def wrong(told: Told, name: str = "read-through", **how: bool) -> list[str]:
    how = {"loses": False, "source_away": False} | how
    return judged([told], Span(0, 100), **how)[name].wrong


def told(acts: list[Act], commits: Sequence[Commit] = (), beats: Sequence[Beat] = (WELL,)) -> Told:
    return Told(0, acts, list(commits), list(beats), 0, 0)


@pytest.mark.parametrize(("late", "count"), [(SLACK - 0.1, 0), (SLACK + 0.1, 1)])
def test_a_value_may_be_read_for_as_long_as_memory_may_be_behind(late: float, count: int) -> None:
    acts = [wrote(7, 10, 12), read(0, 12 + late, 12.1 + late)]
    assert len(wrong(told(acts, [commit(7, 1, 11, 11.5)]))) == count


def test_what_is_owed_counts_as_known_when_it_is_paid() -> None:
    beats = [Beat(12.01, 3, True, True)] * 2 + [Beat(20.0, 0, False, True)]
    acts = [wrote(7, 10, 12), read(0, 20 + SLACK - 0.1, 22), read(0, 30, 31)]
    found = wrong(told(acts, [commit(7, 1, 11, 11.5)], beats))
    assert [each for each in found if "begin=30" in each] == found
    # A process that stood still for 8 s is given that time.
    assert standstill([told([], beats=beats)]) == pytest.approx(7.99 - BEAT)


def test_write_through_owes_nothing() -> None:
    name = "write-through"
    acts = [wrote(7, 10, 19, name), read(0, 13, 13.1, name)]
    assert wrong(told(acts, [commit(7, 1, 11, 11.5, name)]), name)


@pytest.mark.parametrize("loses", [True, False])
def test_what_redis_has_lost_may_be_gone(loses: bool) -> None:
    name = "write-behind"
    acts = [wrote(7, 10, 11, name, order=5), read(0, 50, 51, name)]
    assert bool(wrong(told(acts), name, loses=loses)) is not loses
    assert wrong(told(acts, [commit(7, 5, 11, 12, name)]), name, loses=loses)


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("what", ["read", "write"])
def test_only_some_may_say_that_redis_is_away(name: str, what: str) -> None:
    act = Act(0, what, name, 1, None, 10, 11, "Unavailable", 1)
    may = name == "write-behind" or (name, what) == ("write-through", "write")
    assert bool(wrong(told([act]), name)) is not may
    act = act._replace(error="SourceAway")
    assert wrong(told([act]), name)
    assert not wrong(told([act]), name, source_away=True)
    assert wrong(told([act._replace(error="KeyError")]), name, source_away=True)
