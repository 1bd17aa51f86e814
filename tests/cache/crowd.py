"""Many at once: threads that begin together, and actors that take turns in a drawn order."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from labkit.cache import MemoryTier
from labkit.cache.flights import Flight
from tests.cache.dict_store import DictStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    import pytest


PATIENCE = 30.0
"""Seconds after which something that should have happened is taken for missing."""


def in_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What each of the threads returned, or the error that it raised; they begin together."""
    ready = threading.Barrier(count)

    def begin(number: int) -> Any:
        ready.wait(PATIENCE)
        try:
            return work(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def until(happens: Callable[[], Any], what: str = "it") -> Any:
    """Ask again and again until the answer is true."""
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.002)):
        if answer := happens():
            return answer
        pause.wait(0.002)
    raise AssertionError(f"{what} did not happen")


class Actor:
    """One who acts in a thread, from one checkpoint to the next."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.act = act
        self.go = threading.Semaphore(0)
        self.ready: Callable[[], bool] = lambda: True
        self.error: BaseException | None = None
        self.ended = False


class Stage:
    """Lets one actor at a time run, from one checkpoint to the next.

    The actors stand in a row that is drawn. The first who can goes on, and on: what goes wrong does
    so when one is held up at the wrong place while others come to their end. Now and then the one
    that runs is sent to the end of the row.

    Args:
        random: Draws the row, and who is sent to its end.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._parked = threading.Semaphore(0)
        self._here = threading.local()

    def checkpoint(self, ready: Callable[[], bool] = lambda: True) -> None:
        """Wait for a turn, which comes when `ready` says so."""
        actor = getattr(self._here, "actor", None)
        if actor is not None:
            actor.ready = ready
            self._parked.release()
            assert actor.go.acquire(timeout=PATIENCE)

    def play(self, acts: Sequence[Callable[[], None]]) -> None:
        """Run the acts to their end, in turns; the first error of an actor is raised again."""
        actors = [Actor(act) for act in acts]
        for actor in actors:
            threading.Thread(target=self._run, args=(actor,), daemon=True).start()
            self._let(None)
        row = self._random.sample(actors, len(actors))
        while row:
            able = [actor for actor in row if actor.ready()]
            assert able, "all wait for one another"
            actor = able[0]
            self._let(actor)
            if actor.ended:
                row.remove(actor)
            elif self._random.random() < 0.15:
                row.remove(actor)
                row.append(actor)
        for actor in actors:
            if actor.error is not None:
                raise actor.error

    def _let(self, actor: Actor | None) -> None:
        if actor is not None:
            actor.go.release()
        assert self._parked.acquire(timeout=PATIENCE), "an actor waits for what is no checkpoint"

    def _run(self, actor: Actor) -> None:
        self._here.actor = actor
        try:
            self.checkpoint()
            actor.act()
        except BaseException as error:
            actor.error = error
        actor.ended = True
        self._parked.release()

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let those who wait for a flight wait on the stage."""
        plain = Flight.wait

        def wait(flight: Flight, seconds: float) -> Any:
            self.checkpoint(lambda: flight.outcome is not None)
            return plain(flight, seconds)

        monkeypatch.setattr(Flight, "wait", wait)


class StagedLock:
    """A lock for several entries by one thread, whose holder may be sent off the stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._owner: int | None = None
        self._depth = 0

    def __enter__(self) -> None:
        me = threading.get_ident()
        if self._owner != me:
            self._stage.checkpoint(lambda: self._owner is None)
        self._owner = me
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None


class StagedMemory(MemoryTier):
    """A memory tier with a checkpoint before and after whatever a cache does with it."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self.lock = StagedLock(stage)  # type: ignore[assignment]


def _staged(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._stage.checkpoint()
        answer = getattr(MemoryTier, name)(self, *args, **kwargs)
        self._stage.checkpoint()
        return answer

    return method


for _name in ("find", "put", "delete", "drop_tags", "delete_prefix", "clear"):
    setattr(StagedMemory, _name, _staged(_name))


class StagedTier:
    """A dictionary for several caches, each of which hears what the others change.

    There is a checkpoint before and after whatever a cache asks, and before each one that hears.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.values = DictStore(lambda: 1.0)
        self.listeners: dict[StagedStore, Any] = {}

    def open(self, namespace: str) -> StagedStore:
        return StagedStore(self)


class StagedStore:
    blocking = False

    def __init__(self, tier: StagedTier) -> None:
        self._tier = tier
        self._values = tier.values

    def __getattr__(self, name: str) -> Any:
        def staged(*args: Any, **kwargs: Any) -> Any:
            self._tier.stage.checkpoint()
            answer = getattr(self._values, name)(*args, **kwargs)
            self._tier.stage.checkpoint()
            if name in _TOLD:
                what, which = _TOLD[name]
                self._tell(what, which(*args, answer))
            return answer

        return staged

    def wait(self, key: str, seconds: float) -> None:
        claim = self._values._lease(key)[0]
        self._tier.stage.checkpoint(lambda: not claim or self._values._lease(key)[0] != claim)

    def listen(self, listener: Any, bound: float) -> StagedStore:
        self._tier.listeners[self] = listener
        listener.restored()
        return self

    def close(self) -> None:
        self._tier.listeners.pop(self, None)

    def _tell(self, what: str, which: list[Any]) -> None:
        for store, listener in list(self._tier.listeners.items()):
            if store is not self:
                self._tier.stage.checkpoint()
                getattr(listener, what)(*which)


# What others hear of a method: its name there, and the arguments, from those here and the answer.
_TOLD: dict[str, tuple[str, Callable[..., list[Any]]]] = {
    "set_many": ("changed", lambda items, *_: [[key for key, _ in items]]),
    "fill": ("changed", lambda claim, *_: [[claim.key]]),
    "fill_many": ("changed", lambda fills, _: [[fill[0].key for fill in fills]]),
    "delete": ("changed", lambda keys, _: [keys]),
    "drop_tags": ("dropped", lambda tags, _: [tags]),
    "delete_prefix": ("prefix_deleted", lambda prefix, _: [prefix]),
    "clear": ("cleared", lambda _: []),
}
