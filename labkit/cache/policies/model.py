"""What follows from rates of reads and writes by arithmetic.

Reads and writes of a key are taken to come at random and independently, as two Poisson processes,
and all keys to be equally popular. Real popularity is skewed. With the same number of reads that
means more hits, not fewer: the hits of a key are a convex function of its rate of reads, so that
by Jensen's inequality equal rates have the fewest. What is told here is a bound from below.
"""

from __future__ import annotations

import math


def hits_per_load(reads: float, writes: float, seconds: float) -> float:
    """How many reads of a key find the value that one load has stored.

    A value is stored by a read that missed, and ends after its time, or at the first write before
    that: on average after (1 - exp(-writes * seconds)) / writes. So many of the reads that come
    meanwhile are hits, and the one that follows is the next miss. Without writes that is
    reads * seconds, and the hit ratio reads * seconds / (1 + reads * seconds), as in J. Jung, A. W.
    Berger and H. Balakrishnan, "Modeling TTL-based Internet caches", INFOCOM 2003.

    Args:
        reads: How often the key is read a second.
        writes: How often it is written a second, where each write drops the value; 0 where none.
        seconds: How long a value lives.
    """
    if writes * seconds < 1e-9:  # the limit; the fraction would lose its digits
        return reads * seconds
    return reads * -math.expm1(-writes * seconds) / writes


def hit_ratio(hits: float) -> float:
    """Which share of the reads are hits, if so many follow each load."""
    return hits / (1 + hits)


def time_for(ratio: float, reads: float) -> float:
    """How long a value must live for this share of hits, where nothing is written."""
    return ratio / (1 - ratio) / reads


def renewed_in_time(reads: float, load: float, beta: float = 1.0) -> float:
    """The chance that XFetch has a value loaded anew before its time is over.

    A read that comes t before the end has it loaded with the chance exp(-t / (beta * load)), by the
    rule of A. Vattani, F. Chierichetti and K. Lowenstein, "Optimal probabilistic cache stampede
    prevention", VLDB 2015. Of reads that come at random, so many are expected to do that as the
    integral over t says: reads * beta * load.

    Args:
        reads: How often the key is read a second.
        load: How many seconds a load takes.
        beta: The option `early`.
    """
    return read_within(reads, beta * load)


def read_within(reads: float, seconds: float) -> float:
    """The chance that a key is read within a time."""
    return -math.expm1(-reads * seconds)
