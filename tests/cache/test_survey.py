"""The survey of times to live: what is there, how long it has left, and at what price."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from labkit import CommandLog, connect
from labkit.cache import AsyncCache, Cache, FileTier, MemoryTier, RedisTier
from labkit.cache.survey import Survey, survey
from labkit.clock import FakeClock
from tests.cache.dict_store import DictTier
from tests.cache.test_invalidation import Failing

if TYPE_CHECKING:
    from pathlib import Path

    from labkit.course.bench import Bench
    from tests.cache.conftest import Bed


def surveyed(bed: Bed, cache: Any, sample: int = 10_000) -> Survey:
    found: Any = survey(getattr(cache, "target", cache), sample)
    answer = bed.run(found) if inspect.isawaitable(found) else found
    assert isinstance(answer, Survey)
    return answer


def told(bed: Bed) -> list[str]:
    """The tiers that can tell how long their values have left."""
    return ["memory"] * bed.has_memory + ["redis"] * bed.tells


def test_every_tier_tells_how_long_its_values_have_left(bed: Bed) -> None:
    cache = bed.cache(staleness="1d")
    for number in range(10):
        cache.set(f"a{number}", number, ttl=60)
    cache.set("b", 1, ttl=30, tags=["t"])
    cache.set("c", 1)
    bed.cache(namespace=f"{bed.namespace}-other").set("d", 1, ttl=10)
    bed.advance(20)
    found = surveyed(bed, cache)
    assert list(found.tiers) == told(bed)
    assert found.unknown == (("dict",) if "dict" in bed.layout else ())
    assert found.sampled == ()
    for tier in told(bed):
        lefts = sorted(left for left in found.tiers[tier] if left is not None and left < 1_000)
        assert lefts == pytest.approx([10.0] + [40.0] * 10, abs=2.0)
        # Memory does not keep for ever what it would not hear to have changed.
        bounded = tier == "memory" and bed.has_store and not bed.tells
        assert found.forever[tier] == (not bounded)
        assert found.expiring_within("15s")[tier] == 1
        assert found.expiring_within(45)[tier] == 11


def test_values_that_have_expired_or_went_are_not_there(bed: Bed) -> None:
    cache = bed.cache(staleness="1d")
    cache.set_many({"a": 1, "b": 2}, ttl=10)
    cache.set("c", 3, ttl=100)
    cache.set("d", 4, ttl=100)
    cache.delete("d")
    bed.advance(50)
    for tier, times in surveyed(bed, cache).tiers.items():
        assert len(times) == 1, tier
    cache.delete("c")
    assert all(times == () for times in surveyed(bed, cache).tiers.values())


def test_a_large_tier_is_sampled(bed: Bed) -> None:
    cache = bed.cache()
    cache.set_many({str(number): 1 for number in range(300)}, ttl="1d")
    found = surveyed(bed, cache, 100)
    assert found.sampled == tuple(told(bed))
    assert all(len(times) == 100 for times in found.tiers.values())
    whole = surveyed(bed, cache, 300)
    assert whole.sampled == ()
    assert all(len(times) == 300 for times in whole.tiers.values())


def test_a_survey_disturbs_nothing(bed: Bed) -> None:
    cache = bed.cache(sliding=True, ttl=60, staleness="1d")
    cache.set("a", 1)
    bed.advance(30)
    before = cache.stats()
    for _ in range(3):
        surveyed(bed, cache)
    assert cache.stats() == before
    bed.advance(31)
    assert cache.get("a", None) is None


def test_redis_is_walked_and_asked_in_batches(bench: Bench) -> None:
    bench.reset()
    tier = RedisTier(bench.client(), budget="5s")
    cache = Cache([tier], namespace="walk")
    cache.set_many({str(number): 1 for number in range(2_500)}, ttl="1d")
    with CommandLog(tier.client) as log:
        found = survey(cache)
    assert len(found.tiers["redis"]) == 2_500
    assert {command.name for command in log.commands} == {"SCAN", "PTTL"}
    assert log.round_trips <= 12
    with CommandLog(tier.client) as log:
        assert len(survey(cache, 10).tiers["redis"]) == 10
    assert log.round_trips == 2
    cache.close()


@pytest.mark.parametrize("namespace", ["a*", "a?", "a[b]"])
def test_a_namespace_is_no_pattern(bench: Bench, namespace: str) -> None:
    bench.reset()
    tier = RedisTier(bench.client())
    tier.open("ab").set("k", b"v", 60)
    tier.open(namespace).set("k", b"v", 60)
    assert len(tier.open(namespace).times(10).seconds) == 1


def test_several_buckets_give_a_share_each(bench: Bench) -> None:
    bench.reset()
    tier = RedisTier(bench.client(), buckets=4)
    cache = Cache([tier])
    assert survey(cache).tiers == {"redis": ()}
    cache.set_many({str(number): 1 for number in range(400)}, ttl=100)
    cache.set_many({f"{number} stays": 1 for number in range(400)})
    found = survey(cache, 200)
    assert len(found.tiers["redis"]) == 200
    assert found.sampled == ("redis",)
    whole = survey(cache, 1_200)
    assert len(whole.tiers["redis"]) == 800
    assert whole.sampled == ()
    assert whole.forever == {"redis": 400}
    cache.close()


def test_a_cluster_is_surveyed(cluster_url: str) -> None:
    cache = Cache([RedisTier(connect(cluster_url))], namespace="surveyed")
    cache.set_many({str(number): 1 for number in range(100)}, ttl=100)
    found = survey(cache)
    assert len(found.tiers["redis"]) == 100
    assert found.expiring_within(101) == {"redis": 100}
    cache.clear()
    cache.close()


def test_a_file_is_surveyed(tmp_path: Path) -> None:
    clock = FakeClock(1_000)
    cache = Cache([FileTier(tmp_path / "cache", clock=clock)])
    cache.set_many({"a": 1, "b": 2}, ttl=60)
    cache.set("c", 3)
    cache.set("d", 4, tags=["t"])
    cache.set("e", 5, ttl=5)
    cache.invalidate(tag="t")
    clock.advance(10)
    found = survey(cache)
    assert sorted(found.tiers["file"], key=str) == [50.0, 50.0, None]
    assert found.sampled == ()
    assert survey(cache, 2).sampled == ("file",)
    cache.close()


def test_a_store_that_is_away_is_unknown() -> None:
    tier = Failing(DictTier().open("n"))
    cache = Cache([MemoryTier(), tier])
    cache.set("a", 1)
    tier.down = True  # and says of any method that it has it
    found = survey(cache)
    assert found.unknown == ("failing",)
    assert list(found.tiers) == ["memory"]


def test_what_may_be_given_out_after_its_time_counts_as_there() -> None:
    clock = FakeClock(0)
    cache = Cache([MemoryTier(clock=clock)], ttl=10, stale_if_error=20)
    cache.set("a", 1)
    assert survey(cache).tiers == {"memory": (30.0,)}


def test_an_async_cache_is_awaited() -> None:
    async def main() -> Survey:
        cache = AsyncCache()
        await cache.set("a", 1)
        return await survey(cache)

    assert asyncio.run(main()).tiers == {"memory": (None,)}


@pytest.mark.parametrize("sample", [0, -1])
def test_a_sample_is_a_number(sample: int) -> None:
    with pytest.raises(ValueError, match="sample is"):
        survey(Cache(), sample)


# --- The figures


FOUND = Survey(
    {"memory": (5.0, 10.0, 10.1, 59.0, None), "redis": (3_600.0, 1e6)},
    sampled=("redis",),
    unknown=("file",),
)


def test_values_are_counted_by_bucket() -> None:
    assert FOUND.buckets(["10s", "1m"]) == {
        "memory": {"<= 10s": 2, "<= 1m": 2, "> 1m": 0, "never": 1},
        "redis": {"<= 10s": 0, "<= 1m": 0, "> 1m": 2, "never": 0},
    }
    assert str(FOUND).splitlines() == [
        "memory, 5 values: 2 <= 10s, 2 <= 1m, 1 never",
        "redis, a sample of 2 values: 1 <= 1h, 1 > 1d",
        "file: unknown",
    ]
    assert str(Survey({"memory": ()})) == "memory, 0 values"
    for bounds in ([], ["1m", "10s"], [5, 5]):
        with pytest.raises(ValueError, match="bounds are"):
            FOUND.buckets(bounds)


def test_a_frame_has_a_row_for_each_tier_and_bucket() -> None:
    frame = FOUND.frame(["10s", "1m"])
    assert list(frame.columns) == ["tier", "left", "values", "share"]
    assert list(frame["tier"]) == ["memory"] * 4 + ["redis"] * 4
    memory = frame[frame["tier"] == "memory"].set_index("left")
    assert memory["values"].to_dict() == {"<= 10s": 2, "<= 1m": 2, "> 1m": 0, "never": 1}
    assert memory["share"].to_dict() == {"<= 10s": 0.4, "<= 1m": 0.4, "> 1m": 0.0, "never": 0.2}
    assert list(Survey({"memory": ()}).frame()["share"]) == [0.0] * 7


@given(
    times=st.lists(st.one_of(st.none(), st.floats(0, 1e6)), max_size=30),
    bounds=st.sets(st.floats(0.001, 1e6), min_size=1, max_size=5),
    other=st.floats(0, 1e6),
)
def test_buckets_sum_up_to_what_expires_within_their_bounds(
    times: list[float | None], bounds: set[float], other: float
) -> None:
    found = Survey({"t": tuple(times)})
    ends = sorted(bounds)
    counts = list(found.buckets(ends)["t"].values())
    assert sum(counts) == len(times)
    for number, end in enumerate(ends):
        assert sum(counts[: number + 1]) == found.expiring_within(end)["t"]
    assert counts[-1] == found.forever["t"] == times.count(None)
    assert found.expiring_within(other)["t"] <= len(times) - times.count(None)
