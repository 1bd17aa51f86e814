"""What the tests of entities share: smart caches over every arrangement of tiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from labkit.cache.smart import AsyncSmartCache, SmartCache
from tests.cache.conftest import Awaited
from tests.cache.entities.press import AsyncDesk, Desk, Press, declare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cache.conftest import Bed, Benches


class Plain:
    """A smart cache whose methods and whose entities' methods wait for their answer."""

    def __init__(self, smart: Any, bed: Bed, benches: Benches) -> None:
        self.smart = smart
        self._runner = benches.runner if bed.awaited else None
        self.press = Press()

    def __getitem__(self, name: str) -> Any:
        entities = self.smart[name]
        return entities if self._runner is None else Awaited(entities, self._runner)

    def part(self, name: str, type: Any) -> Any:  # noqa: A002 - it is one
        part = self.smart[name].part(type)
        return part if self._runner is None else Awaited(part, self._runner)


@pytest.fixture
def smart(bed: Bed, benches: Benches) -> Iterator[Callable[..., Plain]]:
    """Makes smart caches over the bed's tiers."""
    made = []

    def make(**options: Any) -> Plain:
        kind: Any = AsyncSmartCache if bed.awaited else SmartCache
        how = {"namespace": bed.namespace, "ttl": 100} | options
        cache = kind(bed.tiers(), **how)
        made.append(cache)
        return Plain(cache, bed, benches)

    yield make
    for each in made:
        for cache in each._caches.values():
            benches.close_later(cache)


@pytest.fixture
def press(smart: Callable[..., Plain], bed: Bed) -> Plain:
    """The press, declared."""
    plain = smart()
    declare(plain.smart, plain.press, AsyncDesk if bed.awaited else Desk)
    return plain
