"""The contract of a store, kept by Redis: simulated, real, awaited, and spread over a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import labkit
from labkit import CommandLog
from labkit.cache.backends.redis import RedisTier
from labkit.cache.testing import StoreContract
from labkit.clock import fast_forward
from tests.scale import times

if TYPE_CHECKING:
    from labkit.course.bench import Bench


class _Timed(StoreContract):
    """Redis counts the time itself: what is left of it is taken away."""

    examples = times(40)
    client: Any

    def pass_time(self, seconds: float) -> None:
        fast_forward(self.client, seconds)


class TestTheContractInRedis(_Timed):
    @pytest.fixture
    def tier(self, bench: Bench) -> RedisTier:
        self.client = bench.client()
        return RedisTier(bench.client(), budget="5s")


class TestTheContractInRedisAwaited(_Timed):
    @pytest.fixture
    def tier(self, bench: Bench) -> RedisTier:
        self.client = bench.client()
        return RedisTier(self.call(labkit.connect_async(bench.url)), budget="5s")


class TestTheContractInSeveralBuckets(_Timed):
    @pytest.fixture
    def tier(self, bench: Bench) -> RedisTier:
        self.client = bench.client()
        return RedisTier(bench.client(), budget="5s", buckets=4)


class TestTheContractInACluster(_Timed):
    examples = times(10)

    @pytest.fixture
    def tier(self, cluster_url: str) -> RedisTier:
        self.client = labkit.connect(cluster_url)
        return RedisTier(labkit.connect(cluster_url))


class TestTheContractInAClusterAwaited(_Timed):
    examples = times(10)

    @pytest.fixture
    def tier(self, cluster_url: str) -> RedisTier:
        self.client = labkit.connect(cluster_url)
        return RedisTier(self.call(labkit.connect_async(cluster_url)))


def test_a_read_is_one_trip_and_so_is_a_write_of_many(bench: Bench) -> None:
    tier = RedisTier(bench.client())
    store = tier.open("trips")
    store.set_many([(f"k{i}", b"1") for i in range(100)], [None] * 100, ["t"])
    store.set_many([("a", b"1"), ("b", b"2")], [60, None])
    for operation, trips in (
        (lambda: store.get("a"), 1),
        (lambda: store.get("a", ttl=True), 1),
        (lambda: store.get("k1", ["t"]), 1),
        (lambda: store.get_many(["a", "b", "no"], ttl=True), 1),
        (lambda: store.get_many([f"k{i}" for i in range(100)]), 2),  # the tags are checked then
        (lambda: store.set_many([(f"k{i}", b"1") for i in range(100)], [None] * 100), 1),
        (lambda: store.delete([f"k{i}" for i in range(100)]), 1),
        (lambda: store.drop_tags(["t", "u"]), 1),
        (store.clear, 1),
    ):
        operation()  # scripts are known from now on
        with CommandLog(tier.client) as log:
            operation()
        assert log.round_trips == trips, str(log)
    store.close()


def test_what_a_namespace_leaves_behind_has_a_time_to_live(bench: Bench) -> None:
    bench.reset()
    client = bench.client()
    store = RedisTier(bench.client()).open("tidy")
    store.set("k", b"1", 60, ["t"])
    claim = store.claim("l", ["t", "u"], lease=60)
    assert store.fill(claim, b"2", 60)
    store.claim("m", ["w"], lease=60)
    store.release(store.claim("o", lease=60))
    without = {key for key in client.scan_iter("tidy:*") if client.ttl(key) < 0}
    assert without <= {"tidy:g", "tidy:e"}  # two keys a namespace, whatever was stored
    fast_forward(client, 100_000)
    assert set(client.scan_iter("tidy:*")) <= {"tidy:g", "tidy:e"}
    store.close()


@pytest.mark.parametrize("namespace", ["v", "site:v", "site:g:x", "site:changes"])
def test_a_namespace_that_reads_like_a_key_of_another_is_refused(
    bench: Bench, namespace: str
) -> None:
    with pytest.raises(ValueError, match="could be taken for those of another"):
        RedisTier(bench.client()).open(namespace)
