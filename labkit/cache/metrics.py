"""A cache's statistics for Prometheus and OpenTelemetry.

Both read `cache.stats()` when they are asked, so that nothing is paid for on a call. Neither
library is needed to import this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from labkit.cache.base import BaseCache
    from labkit.cache.stats import Stats

    # A measurement: its value, and the labels that tell it from others of its name.
    Sample = tuple[float, dict[str, str]]

# What each metric is called, what it says, whether it only grows, and how it is read.
_METRICS: list[tuple[str, str, bool, Callable[[Stats], Iterator[Sample]]]]


class PrometheusCollector:
    """Gives the statistics of a cache to `prometheus_client`.

        REGISTRY.register(PrometheusCollector(cache, name="news"))

    Args:
        cache: The cache.
        name: The value of the label `cache`.
    """

    def __init__(self, cache: BaseCache, name: str) -> None:
        self._cache = cache
        self._name = name

    def collect(self) -> Iterable[Any]:
        """The metrics of now."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        stats = self._cache.stats()
        for name, text, grows, read in _METRICS:
            samples = list(read(stats))
            labels = ["cache", *(samples[0][1] if samples else ())]
            kind = CounterMetricFamily if grows else GaugeMetricFamily
            family = kind(f"labkit_cache_{name}", text, labels=labels)
            for value, found in samples:
                family.add_metric([self._name, *found.values()], value)
            yield family


def observe(cache: BaseCache, name: str, meter: Any) -> None:
    """Give the statistics of a cache to a meter of OpenTelemetry.

    Args:
        cache: The cache.
        name: The value of the attribute `cache`.
        meter: What `opentelemetry.metrics.get_meter(...)` returns.
    """
    from opentelemetry.metrics import Observation

    for metric, text, grows, read in _METRICS:
        make = meter.create_observable_counter if grows else meter.create_observable_gauge

        def observed(_: Any, read: Callable[[Stats], Iterator[Sample]] = read) -> Iterator[Any]:
            for value, labels in read(cache.stats()):
                yield Observation(value, {"cache": name, **labels})

        make(f"labkit.cache.{metric}", callbacks=[observed], description=text)


def _of_functions(attribute: str) -> Callable[[Stats], Iterator[Sample]]:
    def read(stats: Stats) -> Iterator[Sample]:
        for function, counts in stats.functions.items():
            yield getattr(counts, attribute), {"function": function}

    return read


def _hits(stats: Stats) -> Iterator[Sample]:
    for function, counts in stats.functions.items():
        for tier, hits in counts.hits.items():
            yield hits, {"function": function, "tier": tier}


def _load_seconds(stats: Stats) -> Iterator[Sample]:
    for function, counts in stats.functions.items():
        for share, seconds in zip(("0.5", "0.95", "0.99"), counts.load_seconds or (), strict=False):
            yield seconds, {"function": function, "quantile": share}


def _of_tiers(attribute: str) -> Callable[[Stats], Iterator[Sample]]:
    def read(stats: Stats) -> Iterator[Sample]:
        for tier in stats.tiers:
            value = getattr(tier, attribute)
            if value is not None:
                yield float(value), {"tier": tier.name}

    return read


_METRICS = [
    ("hits", "Calls that a tier answered.", True, _hits),
    ("misses", "Calls that no tier could answer.", True, _of_functions("misses")),
    ("loads", "Times that a loader ran.", True, _of_functions("loads")),
    ("load_errors", "Loads that raised.", True, _of_functions("errors")),
    ("waits", "Calls that another caller's load answered.", True, _of_functions("waits")),
    ("renewals", "Loads that nobody waited for.", True, _of_functions("renewals")),
    ("stale", "Calls that were given a value after its time.", True, _of_functions("stale")),
    ("refused", "Loads that were invalidated under way.", True, _of_functions("refused")),
    ("seconds_saved", "Loading time that was not needed.", True, _of_functions("time_saved")),
    ("load_seconds", "Percentiles of the last 1,000 loads.", False, _load_seconds),
    ("entries", "Values in a tier.", False, _of_tiers("entries")),
    ("bytes", "The size of the values in a tier.", False, _of_tiers("bytes")),
    ("evictions", "Values given up for want of room.", True, _of_tiers("evictions")),
    ("failures", "Times that a store did not do what it was asked.", True, _of_tiers("failures")),
    ("away", "Whether a store is left alone.", False, _of_tiers("away")),
    ("owed", "Invalidations that a store has not heard of.", False, _of_tiers("owes")),
]
