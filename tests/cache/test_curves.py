"""Curves are those of a list that is searched, samples come near them, and caches take them."""

from __future__ import annotations

import collections
import itertools
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from labkit.cache import Cache, CacheAside, FunctionSource, ReadThrough
from labkit.cache.curves import Curve, Curves, Gain, Sampler, entity, exact, sampled, stacks
from labkit.cache.curves.sampler import spread
from labkit.cache.curves.stacks import Times, Tree
from labkit.cache.hot import HotKeys
from labkit.cache.simulate import compare, loop, scan_mix, zipf
from tests.cache.conftest import Awaited
from tests.cache.crowd import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from tests.cache.conftest import Bed

traces = st.lists(st.integers(0, 12), max_size=120)
weights = st.lists(st.integers(1, 9), min_size=13, max_size=13)

TRACES = {
    "zipf": zipf(20_000, 100_000, 0.9),
    "loop": loop(20_000, 100_000),
    "scan_mix": scan_mix(20_000, 100_000, 0.9),
}


class ListStack:
    """A stack as one draws it: the key that was asked for last lies first."""

    def __init__(self) -> None:
        self.keys: list[tuple[Hashable, int]] = []

    def touch(self, key: Hashable, weight: int = 1) -> int | None:
        above = 0
        for place, (each, size) in enumerate(self.keys):
            if each == key:
                del self.keys[place]
                self.keys.insert(0, (key, weight))
                return above
            above += size
        self.keys.insert(0, (key, weight))
        return None

    def drop(self, key: Hashable) -> None:
        self.keys = [each for each in self.keys if each[0] != key]


def misses(trace: Sequence[int], size: int, weigh: Callable[[int], int] = lambda key: 1) -> int:
    """How many requests an LRU cache of this size misses, in the plainest of words."""
    kept: list[int] = []
    count = 0
    for key in trace:
        if key in kept:
            kept.remove(key)
        else:
            count += 1
        kept.append(key)
        while kept and sum(map(weigh, kept)) > size:
            del kept[0]
    return count


# --- Stacks


class Stacks(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.slots, stacks._SLOTS = stacks._SLOTS, 4  # it closes its gaps every few requests
        self.tree, self.heavy, self.times = Tree(), Tree(), Times()
        self.model, self.heavy_model = ListStack(), ListStack()

    def teardown(self) -> None:
        stacks._SLOTS = self.slots

    @rule(key=st.integers(0, 15), weight=st.integers(0, 5))
    def touch(self, key: int, weight: int) -> None:
        above = self.model.touch(key)
        assert self.tree.touch(key) == self.times.touch(key) == above
        assert self.heavy.touch(key, weight) == self.heavy_model.touch(key, weight)

    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        if self.model.keys:
            key, _ = data.draw(st.sampled_from(self.model.keys))
            for stack in (self.tree, self.heavy, self.times, self.model, self.heavy_model):
                stack.drop(key)

    @invariant()
    def they_hold_the_same_keys(self) -> None:
        assert len(self.tree) == len(self.heavy) == len(self.times) == len(self.model.keys)


TestStacks = Stacks.TestCase


def test_a_tree_closes_its_gaps_and_stays_as_small_as_its_keys() -> None:
    tree = Tree()
    for key in loop(700, 20_000):
        tree.touch(key)
    assert len(tree._sums) <= 2 * stacks._SLOTS


# --- Exact curves


@given(trace=traces, size=st.integers(1, 14))
def test_the_exact_curve_has_the_misses_of_a_list(trace: list[int], size: int) -> None:
    assert exact(trace).at(size) * len(trace) == pytest.approx(misses(trace, size))


@given(trace=traces, sizes=weights, size=st.integers(1, 70))
def test_with_sizes_it_counts_bytes(trace: list[int], sizes: list[int], size: int) -> None:
    curve = exact(trace, weigh=sizes.__getitem__)
    assert curve.unit == "bytes"
    expected = misses(trace, size, sizes.__getitem__)
    assert curve.at(size) * len(trace) == pytest.approx(expected)


@pytest.mark.parametrize(
    "trace",
    [zipf(60, 900, 0.9), loop(40, 400), scan_mix(50, 900, 0.9, scan=20, every=60)],
    ids=["zipf", "loop", "scan_mix"],
)
def test_it_is_what_the_simulator_finds_at_every_size(trace: list[int]) -> None:
    curve = exact(trace)
    sizes = range(1, len(set(trace)) + 2)
    for row in compare(trace, sizes, ["lru"]):
        assert curve.at(row.size) == (row.requests - row.hits) / row.requests
    assert (curve.cold, curve.samples, curve.rate) == (len(set(trace)), len(set(trace)), 1)


def test_keys_may_be_anything_that_has_a_hash() -> None:
    assert exact([1, "1", (1,), None, "1"]).at(4) == 4 / 5
    assert exact(iter("aa")).at(1) == 1 / 2


# --- What is read off a curve


curves = traces.map(exact) | st.builds(
    Curve,
    st.dictionaries(st.integers(1, 5_000), st.floats(0.1, 50), max_size=20),
    st.floats(1, 50),
    st.integers(1, 400),
    st.just(7),
    st.just(0.01),
)


@given(curve=curves)
def test_more_room_never_misses_more(curve: Curve) -> None:
    shares = [curve.at(size) for size in [0, 1, *curve.sizes, 10**9]]
    assert all(0 <= b <= a <= 1 for a, b in itertools.pairwise(shares))
    assert curve.least == shares[-1]
    sizes = [size for size, _ in curve.points()]
    assert sizes == sorted(set(sizes))


@given(curve=curves, ratio=st.floats(0.001, 1) | st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]))
def test_the_size_for_a_ratio_is_the_smallest_one(curve: Curve, ratio: float) -> None:
    size = curve.for_ratio(ratio)
    if size is None:
        assert curve.least > 1 - ratio
        return
    assert curve.at(size) <= 1 - ratio + 1e-9
    assert size == 0 or curve.at(size - 1) > 1 - ratio


def test_the_size_for_a_ratio_is_met_exactly() -> None:
    curve = exact("abcdefghij" * 10)
    assert (curve.for_ratio(0.9), curve.for_ratio(0.91), curve.for_ratio(0)) == (10, None, 0)
    for wrong in (-0.1, 90):
        with pytest.raises(ValueError, match=r"hits is .*expected a share from 0 to 1"):
            curve.for_ratio(wrong)


@given(curve=curves)
def test_the_knee_lies_farthest_below_the_straight_line(curve: Curve) -> None:
    knee = curve.knee()
    if knee is None:
        assert not curve.sizes
        return
    last = curve.sizes[-1]
    below = {size: 1 - size / last * (1 - curve.least) - curve.at(size) for size in curve.sizes}
    assert below[knee] == pytest.approx(max(below.values()))


def test_the_knee_of_a_few_popular_keys_among_many_is_their_number() -> None:
    trace = [key for number in range(2_000) for key in (number % 10, 10 + number * 7 % 900)]
    assert exact(trace).knee() == 20  # a popular key returns after 10 popular and 10 other ones


def test_a_gain_says_what_more_room_brings() -> None:
    curve = exact([*"aabbc", *"abc" * 5])
    gain = curve.gain(1, 3)
    assert gain == Gain(1, 3, curve.at(1), curve.at(3))
    assert (gain.misses, gain.then) == (18 / 20, 3 / 20)
    assert gain.saved == pytest.approx(5 / 6)
    assert str(gain) == (
        "With 3 entries instead of 1, 15.0 % of the reads would miss instead of 90.0 %: "
        "83.3 % fewer loads."
    )
    assert str(curve.gain(3, 1 / 3)).endswith("instead of 15.0 %: 500.0 % more loads.")
    assert str(curve.gain(3)) == (
        "With 6 entries instead of 3, just as many reads would miss: 15.0 %."
    )
    heavy = exact("abab", weigh=lambda _: 1_000)
    assert str(heavy.gain(1_000)).startswith("With 2,000 bytes instead of 1,000, 50.0 % of")
    assert (Gain(1, 2, 0.0, 0.0).saved, Gain(2, 1, 0.0, 0.5).saved) == (0, -1)
    for size, times in ((0, 2), (5, -1)):
        with pytest.raises(ValueError, match="expected a number above 0"):
            curve.gain(size, times)


def test_values_without_a_byte_are_hits_wherever_there_is_room() -> None:
    for curve in (exact("aab", weigh=lambda _: 0), sampled("aab", weigh=lambda _: 0)):
        assert curve.points() == [(0, 1.0), (1, 2 / 3)]


def test_points_and_frame_are_the_curve() -> None:
    curve = exact("abcabcaab")
    assert curve.points() == [(0, 1.0), (1, 8 / 9), (3, 3 / 9)]
    frame = curve.frame()
    assert list(frame.columns) == ["size", "misses", "hits"]
    assert frame["size"].tolist() == [0, 1, 3]
    assert frame["hits"].tolist() == pytest.approx([0, 1 / 9, 6 / 9])
    many = exact(zipf(500, 3_000, 0.8))
    few = many.points(20)
    assert len(few) == 20
    assert set(few) <= set(many.points())
    assert (few[0], few[-1]) == (many.points()[0], many.points()[-1])


def test_a_sample_that_lacks_popular_keys_has_its_first_point_below_all() -> None:
    curve = Curve({40: 10.0}, cold=50.0, requests=100, samples=3, rate=0.1)
    assert curve.points() == [(0, 1.0), (1, 0.6), (40, 0.5)]
    assert (curve.for_ratio(0.3), curve.for_ratio(0.5), curve.for_ratio(0.6)) == (1, 40, None)


def test_a_curve_of_nothing_has_no_hits_and_no_knee() -> None:
    curve = exact([])
    assert (curve.at(5), curve.least, curve.knee(), curve.for_ratio(0.5)) == (1, 1, None, None)
    assert curve.points() == [(0, 1.0)]
    assert repr(exact("aab")) == "<Curve of 3 reads and 2 keys: 66.7% miss at best>"


# --- Samples


@given(trace=traces, most=st.integers(13, 20))
def test_where_all_keys_are_sampled_the_curve_is_exact(trace: list[int], most: int) -> None:
    sample, whole = sampled(trace, most), exact(trace)
    assert sample.points() == whole.points()
    assert (sample.requests, sample.cold, sample.samples) == (len(trace), whole.cold, whole.samples)


def test_it_is_exact_at_large_sizes_too() -> None:
    trace = zipf(3_000, 20_000, 0.7)
    assert exact(trace).sizes[-1] > 2_000
    assert sampled(trace).points() == exact(trace).points()


def paper(trace: Sequence[int], most: int, rate: float) -> Curve:
    """SHARDS as it is told: a list for a stack, and counts that are scaled when the rate falls."""
    limit = round(rate * 2**32) + 1
    stack = ListStack()
    counts: dict[int, float] = collections.defaultdict(float)
    cold = 0.0
    for key in trace:
        if spread(key) >= limit:
            continue
        share = (limit - 1) / 2**32
        above = stack.touch(key)
        if above is None:
            cold += 1
        else:
            counts[1 + int(above / share)] += 1
        if len(stack.keys) > most:
            limit = max(spread(each) for each, _ in stack.keys)
            for each, _ in list(stack.keys):
                if spread(each) >= limit:
                    stack.drop(each)
            scale = (limit - 1) / 2**32 / share
            counts = collections.defaultdict(float, {d: n * scale for d, n in counts.items()})
            cold *= scale
    share = (limit - 1) / 2**32
    hits = {size: count / share for size, count in counts.items()}
    return Curve(hits, cold / share, len(trace), len(stack.keys), share)


@given(
    trace=st.lists(st.integers(0, 60), max_size=200),
    most=st.integers(1, 12),
    rate=st.sampled_from([1.0, 0.5, 0.1]),
)
def test_it_counts_what_the_paper_does(trace: list[int], most: int, rate: float) -> None:
    sample, model = sampled(trace, most, rate=rate), paper(trace, most, rate)
    assert (sample.samples, sample.requests) == (model.samples, model.requests)
    assert sample.rate == pytest.approx(model.rate)
    for size in range(1, 500, 7):  # above they are rounded
        assert sample.at(size) == pytest.approx(model.at(size))


@given(trace=st.lists(st.integers(0, 60), max_size=200), most=st.integers(1, 12))
def test_the_sample_is_bounded_and_holds_the_keys_with_the_lowest_hashes(
    trace: list[int], most: int
) -> None:
    sampler = Sampler(most)
    rates = []
    for key in trace:
        sampler.count(key)
        rates.append(sampler.rate)
        assert len(sampler) <= most
    assert rates == sorted(rates, reverse=True)
    lowest = sorted(set(trace), key=spread)[:most]
    assert set(sampler._sampled) == set(lowest)


@pytest.mark.parametrize("name", TRACES)
@pytest.mark.parametrize(("most", "bound"), [(1_024, 0.03), (8_192, 0.01)])
def test_samples_come_near_the_full_curve(name: str, most: int, bound: float) -> None:
    whole, sample = exact(TRACES[name]), sampled(TRACES[name], most)
    assert sample.samples == most
    largest = whole.sizes[-1]
    off = [abs(whole.at(x) - sample.at(x)) for x in range(largest // 100, largest, largest // 100)]
    assert statistics.fmean(off) < bound


def test_a_fixed_rate_comes_near_it_too() -> None:
    whole, sample = exact(TRACES["zipf"]), sampled(TRACES["zipf"], rate=0.1)
    assert 1_300 < sample.samples < 2_100
    off = [abs(whole.at(x) - sample.at(x)) for x in range(150, 15_000, 150)]
    assert statistics.fmean(off) < 0.02


def test_a_sample_of_bytes_comes_near_the_full_curve() -> None:
    def weigh(key: int) -> int:
        return 100 + key * 37 % 900

    whole = exact(TRACES["zipf"], weigh=weigh)
    sample = sampled(TRACES["zipf"], 2_048, weigh=weigh)
    assert sample.unit == "bytes"
    largest = whole.sizes[-1]
    off = [abs(whole.at(x) - sample.at(x)) for x in range(largest // 50, largest, largest // 50)]
    assert statistics.fmean(off) < 0.03


def test_what_is_kept_is_bounded_whatever_the_traffic() -> None:
    sampler = Sampler(most=64, groups=3)
    for key in zipf(30_000, 60_000, 0.5):
        sampler.count(f"kind{key % 20}:{key}")
    total = sampler.curves().total
    assert len(sampler) == total.samples == 64
    assert len(sampler.curves().groups) == 4
    assert len(total.hits) < 64 + 256 * 20
    assert len(sampler._skipped) <= 16_384
    assert len(sampler._highest) == 64


def test_keys_whose_hashes_are_equal_do_not_let_the_sample_grow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("labkit.cache.curves.sampler.spread", lambda key: 1)
    sampler = Sampler(most=3)
    for key in range(10):
        sampler.count(key)
    assert len(sampler) == 0
    assert sampler.curve().requests == 10


# --- The hash


@pytest.mark.parametrize("form", ["{}", "article:{}", "user:{:08d}:page", "{:x}", "s.f({},True)"])
def test_hashes_of_numbered_keys_are_spread_as_by_chance(form: str) -> None:
    hashes = [spread(form.format(number)) for number in range(40_000)]
    for rate in (0.5, 0.1, 0.01):
        share = sum(number <= rate * 2**32 for number in hashes) / len(hashes)
        assert share == pytest.approx(rate, abs=4 * (rate / len(hashes)) ** 0.5)
        # Neighbours are not sampled together more often than others.
        pairs = sum(max(pair) <= rate * 2**32 for pair in itertools.pairwise(hashes))
        assert pairs / len(hashes) == pytest.approx(rate**2, abs=5 * rate / len(hashes) ** 0.5)
    assert 1 <= min(hashes) <= max(hashes) <= 2**32


def test_the_hash_is_the_same_in_every_process() -> None:
    code = "from labkit.cache.curves.sampler import spread; print(spread('a:1'), spread(('b', 2)))"
    command = [sys.executable, "-c", code]
    other = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "77"}
    )
    assert other.stdout.split() == [str(spread("a:1")), str(spread(("b", 2)))]
    assert spread("a:1") != spread("a:2")
    assert spread("") == 1  # the least of all, and no zero
    spread("\ud800")  # a text that no UTF-8 is


# --- Groups, resetting, threads


def test_a_group_has_the_curve_of_a_cache_of_its_own() -> None:
    article = [f"article:{key}" for key in zipf(50, 400, 0.9)]
    author = [f"author:{key}" for key in loop(9, 200)]
    both = [key for pair in itertools.zip_longest(article, author) for key in pair if key]
    sampler = Sampler()
    for key in both:
        sampler.count(key)
    found = sampler.curves()
    assert list(found.groups) == ["article", "author"]
    assert found.groups["article"].points() == exact(article).points()
    assert sampler.curve("author").points() == exact(author).points()
    assert found.total.points() == sampler.curve().points() == exact(both).points()
    with pytest.raises(KeyError):
        sampler.curve("comment")


def test_all_reads_are_counted_whether_their_keys_are_sampled_or_not() -> None:
    sampler = Sampler(most=20)
    for key in range(5_000):
        sampler.count(f"{'ab'[key % 2]}:{key % 1_000}")
    found = sampler.curves()
    assert found.total.requests == 5_000
    assert [curve.requests for curve in found.groups.values()] == [2_500, 2_500]
    assert sum(curve.samples for curve in found.groups.values()) == found.total.samples == 20


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("article:17", "article"),
        ("a:b:c", "a"),
        ("site.pages.front(1,'x:y')", "site.pages.front"),
        (":x", ""),
        ("motto", ""),
        ("", ""),
        (17, ""),
        (("article:", 1), ""),
    ],
)
def test_the_entity_of_a_key(key: Hashable, name: str) -> None:
    assert entity(key) == name


def test_groups_may_be_chosen_left_out_and_are_not_endless() -> None:
    by_length = Sampler(group=lambda key: f"{len(key)} signs", groups=2)
    for key in ("a", "bb", "ccc", "dddd", "a"):
        by_length.count(key)
    found = by_length.curves().groups
    assert {name: curve.requests for name, curve in found.items()} == {
        "1 signs": 2,
        "2 signs": 1,
        "(others)": 2,
    }
    alone = Sampler(group=None)
    alone.count("a:1")
    assert alone.curves().groups == {}
    assert alone.curve().requests == 1


def test_a_curve_does_not_change_after_it_was_taken() -> None:
    sampler = Sampler()
    for key in "abab":
        sampler.count(key)
    curve = sampler.curve()
    sampler.count("a")
    assert (curve.requests, curve.at(2)) == (4, 0.5)


def test_reset_forgets_everything_and_begins_with_the_first_rate() -> None:
    sampler = Sampler(most=3, rate=0.9)
    for key in range(100):
        sampler.count(key)
    assert sampler.rate < 0.5
    sampler.reset()
    assert (len(sampler), sampler.curves().groups) == (0, {})
    assert sampler.rate == pytest.approx(0.9)
    assert sampler.curve().requests == 0
    for key in range(100):  # what was left out may be in the sample now
        sampler.count(key)
    assert (len(sampler), sampler.curve().requests) == (3, 100)


@pytest.mark.soak
def test_threads_neither_break_it_nor_let_it_grow() -> None:
    sampler = Sampler(most=50)
    trace = [f"{'ab'[key % 2]}:{key}" for key in zipf(500, 10_000, 1.0)]

    def work(number: int) -> int:
        most = 0
        for place, key in enumerate(trace):
            sampler.count(key)
            if place % 500 == 0:
                most = max(most, len(sampler), sampler.curves().total.samples)
        return most

    assert max(in_threads(6, work)) <= 50
    assert sampler.curve().requests <= 6 * len(trace)
    assert len(sampler._total.stack) == len(sampler._sampled) == 50
    assert sum(len(tally.stack) for tally in sampler._groups.values()) == 50


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"most": 0}, "most is 0; expected a whole number above 0"),
        ({"groups": -1}, "groups is -1"),
        ({"rate": 0}, "rate is 0; expected a share above 0 and up to 1"),
        ({"rate": 10}, "rate is 10"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sampler(**wrong)


# --- In a cache


def test_every_read_counts_once(bed: Bed) -> None:
    sampler = Sampler()
    cache = bed.cache(namespace=f"{bed.namespace}-reads", curves=sampler, ttl=1_000)
    cached = bed.cached(cache, lambda n: n, name="f", key="f:{n}")

    def counted(work: Callable[[], Any]) -> int:
        before = sampler.curve().requests
        work()
        return sampler.curve().requests - before

    for _ in range(3):  # a miss, and hits
        assert counted(lambda: cached(1)) == 1
        assert counted(lambda: cache.get("k:1")) == 1
        assert counted(lambda: cache.get_many(["k:1", "k:2", "k:1"])) == 2
        assert counted(lambda: cache.get_or_load("k:3", lambda: 1)) == 1
        assert counted(lambda: cache.get_or_load_many(["k:3", "k:4"], by_length)) == 2
    assert counted(lambda: cached.peek(1)) == 1
    assert counted(lambda: cached.refresh(1)) == 0
    assert counted(lambda: cache.set("k:1", 1)) == 0
    assert counted(lambda: cache.invalidate(key="k:1")) == 0
    found = cache.stats().curves
    assert isinstance(found, Curves)
    assert {name: curve.requests for name, curve in found.groups.items()} == {"f": 4, "k": 18}
    assert found.groups["f"].at(1) == 1 / 4
    assert found.groups["k"].samples == 4


def by_length(keys: list[str]) -> dict[str, int]:
    return {key: len(key) for key in keys}


@pytest.mark.parametrize("kind", [CacheAside, ReadThrough])
def test_so_do_the_reads_of_strategies(bed: Bed, kind: Any) -> None:
    sampler = Sampler()
    cache = bed.cache(namespace=f"{bed.namespace}-{kind.__name__}", curves=sampler)
    source: FunctionSource[int, int] = FunctionSource(lambda number: number)
    if bed.awaited:
        words = Awaited(kind(cache.target, source, name="word"), bed._benches.runner)
    else:
        words = kind(cache, source, name="word")
    for _ in range(2):
        assert words.get(1) == 1
        assert words.get_many([1, 2, 3]) == {1: 1, 2: 2, 3: 3}
    words.invalidate(1)
    assert sampler.curve("word").requests == 8
    assert sampler.curve().samples == 3


def test_a_batch_that_waits_for_another_process_counts_its_keys_once(bed: Bed) -> None:
    if not bed.has_store or bed.awaited:
        pytest.skip("it needs a store, whose wait is taken from it")
    sampler = Sampler()
    cache = bed.cache(curves=sampler)
    other = bed.cache()
    bed.store().claim("k", (), lease=60)
    store: Any = cache._engine.authority.store
    waits = []

    def wait(key: str, seconds: float) -> None:
        waits.append(key)
        other.set("k", 7)

    store.wait = wait
    try:
        assert cache.get_or_load_many(["k"], by_length) == {"k": 7}
    finally:
        del store.wait
    assert waits == ["k"]
    assert sampler.curve().requests == 1


def test_hot_keys_and_curves_are_counted_side_by_side() -> None:
    hot, sampler = HotKeys(5), Sampler()
    cache = Cache(hot_keys=hot, curves=sampler)
    cached = cache.cached(name="f", key="f:{n}")(lambda n: n)
    for _ in range(4):
        cached(1)
    assert (hot.seen("f:1"), sampler.curve("f").requests) == (4, 4)
    assert [each.key for each in cache.stats().hot] == ["f:1"]


def test_without_a_sampler_there_are_no_curves() -> None:
    assert Cache().stats().curves is None
    assert Cache()._engine.counting is None
    hot = HotKeys(5)
    assert Cache(hot_keys=hot)._engine.counting == hot.count


def test_a_forked_process_begins_anew() -> None:
    sampler = Sampler()
    cache = Cache(curves=sampler)
    cache.get("a")
    sampler._lock.acquire()  # by a thread that does not come along
    cache._engine.forget_parent()
    cache.get("a")
    assert sampler.curve().requests == 1
