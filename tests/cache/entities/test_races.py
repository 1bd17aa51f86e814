"""Threads that read and write entities at once, in two caches over one store."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from labkit.cache.smart import SmartCache
from tests.cache.conftest import Bed
from tests.cache.crowd import in_threads
from tests.cache.entities.press import Article, Author, Headline, Press, declare
from tests.cache.entities.test_entities import check

if TYPE_CHECKING:
    from tests.cache.conftest import Benches

WRITERS = 4
ROUNDS = 25


class Both:
    """What `check` wants of one cache."""

    def __init__(self, smart: SmartCache, press: Press) -> None:
        self.smart = smart
        self.press = press

    def __getitem__(self, name: str) -> Any:
        return self.smart[name]

    def part(self, name: str, type: Any) -> Any:  # noqa: A002 - it is one
        return self.smart[name].part(type)


@pytest.mark.parametrize("most", [1, 1000])
@pytest.mark.parametrize("layout", ["dict", "server"])
def test_when_all_is_written_nothing_old_is_left(layout: str, benches: Benches, most: int) -> None:
    """Whatever was being loaded while it was written, or what it leads to was."""
    bed = Bed(layout, benches)
    press = Press()
    caches = [SmartCache(bed.tiers(), namespace=bed.namespace, ttl=100, most=most) for _ in "ab"]
    for smart in caches:
        declare(smart, press)
    ended: set[int] = set()

    def read(number: int) -> None:
        chance, smart = random.Random(number), caches[number % 2]
        while len(ended) < WRITERS:
            _read(smart, chance)

    def write(number: int) -> None:
        chance, smart = random.Random(number), caches[number % 2]
        for turn in range(ROUNDS):
            if chance.random() < 0.3:
                smart["Author"].save(Author(1 + number % 3, f"{number} {turn}"))
            elif chance.random() < 0.2:
                smart["Article"].delete(1 + number)
            else:
                topics = [1 + turn % 3]
                author = chance.choice([None, 1, 2, 3])
                smart["Article"].save(Article(1 + number, author, f"{number} {turn}", topics))

    def work(number: int) -> None:
        if number >= WRITERS:
            return read(number)
        try:
            write(number)
        finally:
            ended.add(number)

    assert in_threads(WRITERS + 4, work) == [None] * (WRITERS + 4)
    for smart in caches:
        check(Both(smart, press))  # type: ignore[arg-type]
        smart.close()


def _read(smart: SmartCache, chance: random.Random) -> None:
    smart["Page"].get(chance.randint(1, 6))
    smart["Article"].get_many(range(1, 7))
    smart["Article"].part(Headline).get_many([chance.randint(1, 6)])
    smart["Author"].related_many([1, 2, 3], "articles")
    smart["Topic"].related(chance.randint(1, 3), "articles")
    smart["Author"].get(chance.randint(1, 3))
