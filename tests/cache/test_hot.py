"""The sketch of hot keys: its counts lie where it says, in a bounded amount of memory."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from labkit.cache.hot import Hot, HotKeys
from labkit.cache.simulate import scan_mix, zipf
from tests.cache.crowd import PATIENCE, in_threads

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Few different keys let counters change hands often; runs let some of them grow.
runs = st.tuples(st.integers(0, 12), st.integers(1, 8))
streams = st.lists(runs, max_size=80).map(lambda rs: [key for key, n in rs for _ in range(n)])


def sketched(keys: Iterable[Hashable], most: int) -> HotKeys:
    hot = HotKeys(most)
    for key in keys:
        hot.count(key)
    return hot


@given(stream=streams, most=st.integers(1, 10))
def test_counts_lie_within_their_errors(stream: Sequence[int], most: int) -> None:
    hot, true = sketched(stream, most), Counter[Hashable](stream)
    for each in hot.top(most):
        assert each.count - each.error <= true[each.key] <= each.count
        assert 0 <= each.error <= len(stream) / most
    assert sum(each.count for each in hot.top(most)) == len(stream)
    assert len(hot) == min(most, len(true))


@given(stream=streams, most=st.integers(1, 10))
def test_what_has_more_than_its_share_is_among_them(stream: Sequence[int], most: int) -> None:
    kept = {each.key for each in sketched(stream, most).top(most)}
    for key, count in Counter(stream).items():
        assert key in kept or count <= len(stream) / most


@given(stream=streams, most=st.integers(1, 10))
def test_a_newcomer_takes_over_a_smallest_counter(stream: Sequence[int], most: int) -> None:
    hot = HotKeys(most)
    for key in stream:
        before = {each.key: each.count for each in hot.top(most)}
        hot.count(key)
        after = {each.key: each for each in hot.top(most)}
        if key in before or len(before) < most:
            assert {**before, key: before.get(key, 0) + 1} == {k: e.count for k, e in after.items()}
        else:
            (gone,) = before.keys() - after.keys()
            assert before[gone] == min(before.values())
            assert after[key] == Hot(key, before[gone] + 1, before[gone])


def test_counts_are_exact_while_there_is_room() -> None:
    hot = sketched("abacaba", most=3)
    assert hot.top(2) == [Hot("a", 4, 0), Hot("b", 2, 0)]
    assert hot.top(9) == [Hot("a", 4, 0), Hot("b", 2, 0), Hot("c", 1, 0)]
    assert len(hot) == 3


def test_a_newcomer_inherits_the_smallest_count_as_its_error() -> None:
    assert sketched("aaabbc", most=2).top(2) == [Hot("a", 3, 0), Hot("c", 3, 2)]


def test_of_equal_counters_the_oldest_changes_hands() -> None:
    assert {each.key for each in sketched("abcd", most=3).top(3)} == {"b", "c", "d"}


def test_popular_keys_are_found_among_many_and_through_scans() -> None:
    for trace in (zipf(20_000, 50_000, 1.0), scan_mix(20_000, 50_000, 1.1)):
        true = Counter(trace)
        found = [each.key for each in sketched(trace, most=200).top(5)]
        assert found == [key for key, _ in true.most_common(5)]


def test_a_number_and_its_text_are_two_keys() -> None:
    assert len(sketched([1, "1", (1,), None], most=9)) == 4


def test_reset_forgets_everything() -> None:
    hot = sketched("aab", most=2)
    hot.reset()
    assert (len(hot), hot.top(5)) == (0, [])
    hot.count("c")
    assert hot.top(5) == [Hot("c", 1, 0)]


@pytest.mark.soak
def test_threads_neither_break_it_nor_let_it_grow() -> None:
    hot = HotKeys(most=20)
    trace = zipf(500, 20_000, 1.0)

    def work(number: int) -> Any:
        sizes = set()
        for place, key in enumerate(trace):
            hot.count(key if number % 2 else key + number)
            if place % 1_000 == 0:
                sizes |= {len(hot), len(hot.top(100))}
                if number == 0 and place == 10_000:
                    hot.reset()
        return max(sizes)

    assert max(in_threads(6, work)) <= 20
    assert len(hot) == 20
    # What was counted at the same time may be lost, nothing is counted twice.
    assert sum(each.count for each in hot.top(20)) <= 6 * len(trace)


def test_threads_that_meet_a_new_key_together_give_it_one_counter() -> None:
    ready, met = threading.Barrier(8), threading.local()

    class Meeting:
        """A key that lets nobody look for it before all are there."""

        def __hash__(self) -> int:
            if not hasattr(met, "before"):
                met.before = True
                ready.wait(PATIENCE)
            return 1

    hot, key = HotKeys(most=5), Meeting()
    assert in_threads(8, lambda _: hot.count(key)) == [None] * 8
    assert len(hot) == 1
    assert 1 <= hot.top(1)[0].count <= 8


def test_room_for_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="most is 0; expected a whole number above 0"):
        HotKeys(most=0)
