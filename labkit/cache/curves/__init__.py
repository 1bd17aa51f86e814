"""How many reads would miss with more memory, or with less? Miss-ratio curves.

One pass over the requests is enough, because LRU is a stack: a cache of any size holds the keys
that were asked for last, so a read is a hit in every cache that has room for what was asked for
since. How much that was is the *stack distance* of the read (R. L. Mattson, J. Gecsei, D. R. Slutz,
I. L. Traiger, "Evaluation techniques for storage hierarchies", 1970). `exact` takes it of every
request; a `Sampler` of a few keys only, so that it can run in production.

Example:
    >>> from labkit.cache.simulate import zipf
    >>> curve = exact(zipf(20_000, 100_000, skew=0.9))
    >>> curve.for_ratio(0.5), curve.knee()
    (1222, 2771)
    >>> print(curve.gain(1_000))  # doctest: +NORMALIZE_WHITESPACE
    With 2,000 entries instead of 1,000, 43.2 % of the reads would miss instead of 52.5 %:
    17.7 % fewer loads.

A curve is that of LRU, and of room alone: what expires or is invalidated misses on top. The other
policies are compared by `labkit.cache.simulate`.
"""

from __future__ import annotations

from labkit.cache.curves.curve import Curve, Curves, Gain
from labkit.cache.curves.sampler import Sampler, entity
from labkit.cache.curves.traces import exact, sampled

__all__ = ["Curve", "Curves", "Gain", "Sampler", "entity", "exact", "sampled"]
