"""The same counts reach Prometheus and OpenTelemetry."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import msgspec
import prometheus_client
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from labkit import LocalServer
from labkit.cache import Cache, FunctionSource, MemoryTier, RedisTier, WriteBehind
from labkit.cache.metrics import PrometheusCollector, QueueCollector, observe
from labkit.cache.policies import Policy
from labkit.cache.smart import AsyncSmartCache, SmartCache
from tests.cache.dict_store import DictTier

if TYPE_CHECKING:
    from collections.abc import Iterator


NEAR = Policy(tiers=["memory"])


@pytest.fixture
def cache() -> Iterator[Cache]:
    """A cache whose function was loaded twice, hit three times in memory, and raised once.

    A strategy wrote twice, and failed once; one value was dropped, and loaded again.
    """
    cache = Cache([MemoryTier(maxsize=1), DictTier()], namespace="news", ttl=60)

    @cache.cached(name="double")
    def double(n: int) -> int:
        return 2 * n if n else 1 // n

    for n in (1, 1, 1, 2, 2):
        double(n)
    with pytest.raises(ZeroDivisionError):
        double(0)
    written = cache._engine.counters_for("story")
    written.wrote(0.5, failed=False)
    written.wrote(1.5, failed=True)
    cache.get_or_load("front", lambda: 1)
    cache.invalidate(key="front")
    cache.invalidate(tag="nothing")
    cache.get_or_load("front", lambda: 2)
    yield cache
    cache.close()


EXPECTED: dict[tuple[Any, ...], float] = {
    ("hits", ("function", "double"), ("tier", "memory")): 3,
    ("hits", ("function", "double"), ("tier", "dict")): 0,
    ("misses", ("function", "double")): 3,
    ("loads", ("function", "double")): 3,
    ("load_errors", ("function", "double")): 1,
    ("waits", ("function", "double")): 0,
    ("refused", ("function", "double")): 0,
    ("writes", ("function", "story")): 2,
    ("write_failures", ("function", "story")): 1,
    ("write_seconds", ("function", "story"), ("quantile", "0.99")): 1.5,
    ("invalidations", ("kind", "key")): 1,
    ("invalidations", ("kind", "tag")): 1,
    ("invalidations", ("kind", "prefix")): 0,
    ("invalidated_targets", ("kind", "tag")): 1,
    ("invalidated_entries", ("kind", "key")): 1,
    ("reloads",): 1,
    ("entries", ("tier", "memory")): 1,
    ("evictions", ("tier", "memory")): 2,
    ("failures", ("tier", "dict")): 0,
    ("away", ("tier", "dict")): 0,
    ("owed", ("tier", "dict")): 0,
}


def test_prometheus_gets_the_counts_of_functions_and_tiers(cache: Cache) -> None:
    registry = prometheus_client.CollectorRegistry()
    registry.register(PrometheusCollector(cache, name="site"))
    for (metric, *labels), value in EXPECTED.items():
        total = "" if metric in ("entries", "away", "owed", "write_seconds") else "_total"
        name = f"labkit_cache_{metric}{total}"
        assert registry.get_sample_value(name, {"cache": "site", **dict(labels)}) == value, name


def test_opentelemetry_gets_the_same(cache: Cache) -> None:
    reader = InMemoryMetricReader()
    observe(cache, "site", MeterProvider([reader]).get_meter("test"))
    data = reader.get_metrics_data()
    assert data is not None
    found = {
        (metric.name, *sorted((point.attributes or {}).items())): point.value
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }
    for (metric, *labels), value in EXPECTED.items():
        key = (f"labkit.cache.{metric}", *sorted([("cache", "site"), *labels]))
        assert found[key] == value, key


def test_the_percentiles_of_loads_are_labelled_by_quantile(cache: Cache) -> None:
    registry = prometheus_client.CollectorRegistry()
    registry.register(PrometheusCollector(cache, name="site"))
    labels = {"cache": "site", "function": "double"}
    values = [
        registry.get_sample_value("labkit_cache_load_seconds", {**labels, "quantile": quantile})
        for quantile in ("0.5", "0.95", "0.99")
    ]
    assert values == sorted(value for value in values if value is not None)


def test_counts_are_read_when_they_are_asked_for(cache: Cache) -> None:
    registry = prometheus_client.CollectorRegistry()
    registry.register(PrometheusCollector(cache, name="site"))
    labels = {"cache": "site", "function": "", "tier": "memory"}
    before = registry.get_sample_value("labkit_cache_hits_total", labels)
    cache.set("k", 1)
    cache.get("k")
    assert before == 0
    assert registry.get_sample_value("labkit_cache_hits_total", labels) == 1


def test_a_queue_of_writes_is_told_too() -> None:
    rows: dict[int, str] = {}
    with LocalServer() as server:
        cache = Cache([RedisTier(server.client(), budget="5s")], namespace="told")
        source = FunctionSource(rows.get, save=rows.__setitem__)
        strategy: WriteBehind[Cache, int, str] = WriteBehind(cache, source, name="draft", ttl=100)
        registry = prometheus_client.CollectorRegistry()
        registry.register(QueueCollector(strategy, name="drafts"))

        def told(name: str) -> float | None:
            return registry.get_sample_value(f"labkit_queue_{name}", {"strategy": "drafts"})

        for text in ("a", "b", "c"):
            strategy.save(1, text)
        assert (told("depth"), told("applied_total")) == (3, 0)
        strategy.drain()
        assert (told("depth"), told("applied_total"), told("coalesced_total")) == (0, 3, 2)
        server.kill()
        assert told("depth") is None
        cache.close()


class Note(msgspec.Struct, frozen=True):
    id: int


class Draft(msgspec.Struct, frozen=True):
    id: int


@pytest.mark.parametrize("kind", [SmartCache, AsyncSmartCache])
def test_of_a_smart_cache_all_caches_are_told_also_later_ones(kind: Any) -> None:
    smart = kind([MemoryTier(), DictTier()], namespace="press", policies={"Note": NEAR})
    registry = prometheus_client.CollectorRegistry()
    registry.register(PrometheusCollector(smart, name="site"))
    reader = InMemoryMetricReader()
    observe(smart, "site", MeterProvider([reader]).get_meter("test"))
    notes = smart.entity(Note, FunctionSource(Note))
    drafts = smart.entity(Draft, FunctionSource(Draft))

    async def read() -> None:
        for answer in (notes.get(1), drafts.get(1), notes.get(1)):
            if inspect.isawaitable(answer):
                await answer

    asyncio.run(read())

    def loads(cache: str, function: str) -> float | None:
        labels = {"cache": cache, "function": function}
        return registry.get_sample_value("labkit_cache_loads_total", labels)

    assert (loads("site", "Draft"), loads("site/memory", "Note")) == (1, 1)
    assert (loads("site/memory", "Draft"), loads("site", "Note")) == (None, None)
    text = prometheus_client.generate_latest(registry).decode()
    assert text.count("# TYPE labkit_cache_loads_total ") == 1
    assert len({line.split(" ")[0] for line in text.splitlines()}) > 10
    data = reader.get_metrics_data()
    assert data is not None
    found = {
        (point.attributes or {}).get("cache")
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }
    assert found == {"site", "site/memory"}


def test_what_is_no_cache_is_refused_at_once() -> None:
    nothing: Any = {"cache": 1}
    with pytest.raises(TypeError, match="is no cache; expected a Cache, a SmartCache"):
        PrometheusCollector(nothing, "x")
    with pytest.raises(TypeError, match="is no cache; expected a Cache, a SmartCache"):
        observe(nothing, "x", MeterProvider().get_meter("test"))
