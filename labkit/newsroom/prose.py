"""Headlines, bodies and comments that read like those of a newspaper, drawn at random.

Only `Random.random` is drawn from: its numbers are the same in every version of Python.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, TypeVar

from labkit.newsroom import words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

T = TypeVar("T")

_SENTENCES = 12  # of half of the bodies there are fewer
_PARAGRAPH = 4  # sentences


def pick(random: Random, choices: Sequence[T]) -> T:
    """One of the choices, each as likely as any."""
    return choices[int(random.random() * len(choices))]


def skewed(random: Random, median: float, spread: float) -> float:
    """A size of which most are small and a few are very large (log-normal).

    Args:
        random: Where it is drawn from.
        median: Half of the sizes are smaller.
        spread: The standard deviation of the logarithm.
    """
    # 1 - random() is never 0, for which there is no quantile; 1 is left out by the bound.
    share = min(1 - random.random(), 1 - 2**-53)
    return median * math.exp(spread * NormalDist().inv_cdf(share))


def name(random: Random) -> str:
    """The name of a person."""
    return f"{pick(random, words.FIRST_NAMES)} {pick(random, words.LAST_NAMES)}"


def bio(random: Random) -> str:
    """A sentence about an author."""
    beat, place = pick(random, words.BEATS), pick(random, words.PLACES)
    return f"Writes about {beat} from {place}, and has done so for {_number(random)} years."


def section(random: Random) -> str:
    """The name of a section."""
    return pick(random, tuple(words.SECTIONS))


def headline(random: Random, section: str) -> str:
    """A headline of a section."""
    actors, things = words.SECTIONS[section]
    return (
        f"{pick(random, words.PLACES)}: {pick(random, actors)} {pick(random, words.ACTIONS)} "
        f"{pick(random, things)} {pick(random, words.CIRCUMSTANCES)}"
    )


def body(random: Random, section: str) -> str:
    """The text of an article of a section: a few paragraphs, now and then very many."""
    actors, things = words.SECTIONS[section]
    # A story stays with its subject.
    actor, thing, home = pick(random, actors), pick(random, things), pick(random, words.PLACES)
    sentences = [
        pick(random, words.SENTENCES).format(
            actor=actor,
            thing=thing,
            place=home if random.random() < 0.7 else pick(random, words.PLACES),
            name=name(random),
            number=_number(random),
        )
        for _ in range(1 + int(skewed(random, _SENTENCES, 0.6)))
    ]
    starts = range(0, len(sentences), _PARAGRAPH)
    return "\n\n".join(" ".join(sentences[start : start + _PARAGRAPH]) for start in starts)


def comment(random: Random) -> str:
    """What a reader says."""
    return f"{pick(random, words.OPENINGS)} {pick(random, words.REMARKS)}"


def _number(random: Random) -> int:
    return 2 + int(random.random() * 48)
