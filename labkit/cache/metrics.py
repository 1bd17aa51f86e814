"""A cache's statistics for Prometheus and OpenTelemetry.

Both read `cache.stats()` when they are asked, so that nothing is paid for on a call. Neither
library is needed to import this module.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from labkit.cache.errors import Unavailable
from labkit.cache.smart import caches_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from labkit.cache.base import BaseCache
    from labkit.cache.cache import Cache
    from labkit.cache.relay import BaseRelay, RelayState
    from labkit.cache.smart import Hub
    from labkit.cache.stats import Stats
    from labkit.cache.strategies import WriteBehind

    # A measurement: its value, and the labels that tell it from others of its name.
    Sample = tuple[float, dict[str, str]]
    # What a metric is called, what it says, whether it only grows, and how it is read.
    Metric = tuple[str, str, bool, Callable[[Any], Iterator[Sample]]]

_METRICS: list[Metric]
_RELAY_METRICS: list[Metric]

_QUANTILES = ("0.5", "0.95", "0.99")


class PrometheusCollector:
    """Gives the statistics of a cache to `prometheus_client`.

        REGISTRY.register(PrometheusCollector(cache, name="news"))

    Args:
        cache: The cache, or a smart one; of that, all caches, also those that come to it later.
        name: The value of the label `cache`. Of a smart cache it is that of entities in all tiers;
            of those in others it is `news/memory`, with the names of these.

    Raises:
        TypeError: It is no cache.
    """

    def __init__(self, cache: BaseCache | Hub[Any], name: str) -> None:
        caches_of(cache)
        self._cache = cache
        self._name = name

    def collect(self) -> Iterable[Any]:
        """The metrics of now."""
        yield from _families("cache", _METRICS, _stats(self._cache, self._name))


class Together:
    """Gives the statistics of several caches to `prometheus_client`, each metric once.

    Args:
        collectors: What collects each of them.
    """

    def __init__(self, collectors: Sequence[PrometheusCollector]) -> None:
        self._collectors = collectors

    def collect(self) -> Iterable[Any]:
        """The metrics of now."""
        found: dict[str, Any] = {}
        for family in chain.from_iterable(each.collect() for each in self._collectors):
            first = found.setdefault(family.name, family)
            if first is not family:
                first.samples += family.samples
        return found.values()


class RelayCollector:
    """Gives the state of a relay to `prometheus_client`.

    Args:
        relay: The relay.
        name: The value of the label `relay`.
    """

    def __init__(self, relay: BaseRelay, name: str) -> None:
        self._relay = relay
        self._name = name

    def collect(self) -> Iterable[Any]:
        """The metrics of now."""
        yield from _families("relay", _RELAY_METRICS, {self._name: self._relay.stats()})


class QueueCollector:
    """Gives the state of a `WriteBehind` over a `Cache` to `prometheus_client`.

    Args:
        strategy: The strategy; its queue is asked each time, in one trip.
        name: The value of the label `strategy`.
    """

    def __init__(self, strategy: WriteBehind[Cache, Any, Any], name: str) -> None:
        self._strategy = strategy
        self._name = name

    def collect(self) -> Iterable[Any]:
        """The metrics of now; none where Redis does not answer."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        try:
            measures = self._strategy.collect()
        except Unavailable:
            return
        for measure in measures:
            make = CounterMetricFamily if measure.grows else GaugeMetricFamily
            family = make(f"labkit_{measure.name}", measure.text, labels=["strategy"])
            family.add_metric([self._name], measure.value)
            yield family


def _stats(cache: BaseCache | Hub[Any], name: str) -> dict[str, Stats]:
    """The statistics of each cache, by the label that tells it from the others of a smart one."""
    (first, *others) = caches_of(cache).items()
    labelled = {name: first[1]} | {f"{name}/{tiers}": each for tiers, each in others}
    return {label: each.stats() for label, each in labelled.items()}


def _families(kind: str, metrics: Iterable[Metric], states: Mapping[str, Any]) -> Iterable[Any]:
    """What `prometheus_client` wants of the metrics of things of a kind, by their names."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    for metric, text, grows, read in metrics:
        samples = [(name, *sample) for name, state in states.items() for sample in read(state)]
        labels = [kind, *(samples[0][2] if samples else ())]
        make = CounterMetricFamily if grows else GaugeMetricFamily
        family = make(f"labkit_{kind}_{metric}", text, labels=labels)
        for name, value, found in samples:
            family.add_metric([name, *found.values()], value)
        yield family


def observe(cache: BaseCache | Hub[Any], name: str, meter: Any) -> None:
    """Give the statistics of a cache to a meter of OpenTelemetry.

    Args:
        cache: The cache, or a smart one; see `PrometheusCollector`.
        name: The value of the attribute `cache`.
        meter: What `opentelemetry.metrics.get_meter(...)` returns.

    Raises:
        TypeError: It is no cache.
    """
    from opentelemetry.metrics import Observation

    caches_of(cache)
    for metric, text, grows, read in _METRICS:
        make = meter.create_observable_counter if grows else meter.create_observable_gauge

        def observed(_: Any, read: Callable[[Stats], Iterator[Sample]] = read) -> Iterator[Any]:
            for label, stats in _stats(cache, name).items():
                for value, labels in read(stats):
                    yield Observation(value, {"cache": label, **labels})

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


def _percentiles(attribute: str) -> Callable[[Stats], Iterator[Sample]]:
    def read(stats: Stats) -> Iterator[Sample]:
        for function, counts in stats.functions.items():
            times = getattr(counts, attribute) or ()
            for share, seconds in zip(_QUANTILES, times, strict=False):
                yield seconds, {"function": function, "quantile": share}

    return read


def _of_kinds(attribute: str) -> Callable[[Stats], Iterator[Sample]]:
    def read(stats: Stats) -> Iterator[Sample]:
        for kind, counts in stats.invalidations.kinds.items():
            yield float(getattr(counts, attribute)), {"kind": kind}

    return read


def _of_relay(attribute: str) -> Callable[[RelayState], Iterator[Sample]]:
    def read(state: RelayState) -> Iterator[Sample]:
        yield float(getattr(state, attribute)), {}

    return read


def _lag(state: RelayState) -> Iterator[Sample]:
    for share, seconds in zip(_QUANTILES, state.lag or (), strict=False):
        yield seconds, {"quantile": share}


def _reloads(stats: Stats) -> Iterator[Sample]:
    yield stats.invalidations.reloads, {}


def _reload_seconds(stats: Stats) -> Iterator[Sample]:
    yield stats.invalidations.reload_seconds, {}


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
    ("load_seconds", "Percentiles of the last 1,000 loads.", False, _percentiles("load_seconds")),
    ("writes", "Values that a strategy wrote or deleted.", True, _of_functions("writes")),
    ("write_failures", "Writes that raised.", True, _of_functions("write_failures")),
    (
        "write_seconds",
        "Percentiles of the last 1,000 writes.",
        False,
        _percentiles("write_seconds"),
    ),
    ("invalidations", "Invalidations, by kind.", True, _of_kinds("calls")),
    ("invalidated_targets", "Keys, tags and prefixes they named.", True, _of_kinds("targets")),
    ("invalidated_entries", "Values they are known to drop.", True, _of_kinds("entries")),
    ("invalidation_seconds", "Time they were waited for.", True, _of_kinds("seconds")),
    ("reloads", "Loads of what an invalidation dropped.", True, _reloads),
    ("reload_seconds", "How long these loads took.", True, _reload_seconds),
    ("entries", "Values in a tier.", False, _of_tiers("entries")),
    ("bytes", "The size of the values in a tier.", False, _of_tiers("bytes")),
    ("evictions", "Values given up for want of room.", True, _of_tiers("evictions")),
    ("failures", "Times that a store did not do what it was asked.", True, _of_tiers("failures")),
    ("away", "Whether a store is left alone.", False, _of_tiers("away")),
    ("owed", "Invalidations that a store has not heard of.", False, _of_tiers("owes")),
]

_RELAY_METRICS = [
    ("handled", "Changes that were acted on.", True, _of_relay("handled")),
    ("failures", "Times that something failed.", True, _of_relay("failures")),
    ("stuck", "Changes whose handling raises, and is tried again.", False, _of_relay("stuck")),
    ("away", "Whether the database or the cache is away.", False, _of_relay("away")),
    ("lag_seconds", "Percentiles of the time from change to end.", False, _lag),
]
