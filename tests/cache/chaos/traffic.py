"""A process whose threads read and write entities, and tell all that happened."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.cache import Unavailable
from labkit.cache.guard import Guard
from tests.cache.chaos.faces import FACES, Elsewhere, Lost, lost, smart_cache
from tests.cache.chaos.signs import CLOCK_JUMPED, DONE, READY, SOURCE_AWAY, STOP, WELL, Signs
from tests.cache.chaos.terms import TERMS
from tests.cache.chaos.truth import Commit, Item, Table, Truth, Versioned
from tests.cache.crowd import in_threads, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labkit.cache.entities import Entities
    from labkit.cache.smart import Hub

IDS = range(24)  # so many that a key is left alone for longer than anything may be old
HOT = 2  # of which these get a share of their own
BEAT = 0.01
JUMP = 3600.0

_EACH = 1_000_000


class Job(NamedTuple):
    """What a process is to do.

    Attributes:
        url: Where Redis is.
        directory: Where the source and the signs are.
        process: Which of the processes it is.
        processes: How many there are.
        threads: How many threads act.
        pause: For how many seconds a thread rests between two acts, on average.
        seed: What the acts are drawn from.
        face: How it uses the cache; one of FACES.
        planted: A bug that is planted, if one is.
    """

    url: str
    directory: str
    process: int
    processes: int
    threads: int
    pause: float
    seed: str
    face: str = FACES[0]
    planted: str = ""


class Act(NamedTuple):
    """A read or a write; times are those of the machine's monotonic clock.

    Attributes:
        process: Who.
        what: "read" or "write".
        name: Of which entity.
        id: Its id.
        number: What was read or written; None where that failed.
        begin: When it was called.
        end: When it returned.
        error: What it raised, by the name of the class.
        lost: How many trips to Redis failed under it.
        order: The version that a write was acknowledged with; 0 where there is none.
    """

    process: int
    what: str
    name: str
    id: int
    number: int | None
    begin: float
    end: float
    error: str
    lost: int
    order: int = 0


class Beat(NamedTuple):
    """How a process was at a moment."""

    at: float
    owes: int
    away: bool
    listening: bool

    @property
    def well(self) -> bool:
        """Whether it asks Redis, owes it nothing, and hears of changes."""
        return self.listening and not self.away and not self.owes


class Told(NamedTuple):
    """What happened in a process."""

    process: int
    acts: list[Act]
    commits: list[Commit]
    beats: list[Beat]
    failures: int
    openings: int


def traffic(job: Job) -> Told:
    """In a process: read and write until told to stop, and see then that all is as it should be."""
    signs = Signs(f"{job.directory}/signs")
    truth = Truth(f"{job.directory}/truth", lambda: signs.up(SOURCE_AWAY), delay=0.004)
    with contextlib.ExitStack() as stack:
        stack.callback(truth.close)
        stack.enter_context(_jumping_clock(signs, job.process))
        stack.enter_context(_planted(job.planted))
        smart, loop = stack.enter_context(smart_cache(job.face, job.url, job.directory))
        for name, terms in TERMS.items():
            kind = Versioned if terms.known == "acknowledged" else Table
            smart.entity(Item, kind(truth, name), name=name)
        entities: list[Any] = [Elsewhere(each, loop) if loop else each for each in smart]
        for each in entities:
            each.get(0)
        behind: Any = smart["write-behind"].strategy
        worker = behind.worker()
        stack.enter_context(loop.entered(worker) if loop else worker)
        if loop:
            behind = Elsewhere(behind, loop)
        heart = Heart(smart, lambda well: signs.set(WELL + job.process, well))
        stack.callback(heart.stop)
        actors = [Actor(job, number, entities) for number in range(job.threads)]
        signs.set(READY + job.process)
        ended = in_threads(job.threads, lambda number: actors[number].act(signs))
        assert ended == [None] * job.threads, ended
        heart.stop()
        signs.set(DONE + job.process)
        until(lambda: signs.all_up(DONE, job.processes), "the end of the others")
        until(lambda: not _depth(behind), "the end of the queue")
        assert not behind.aside()
        if not job.planted:
            for each in entities:
                _converges(each, truth)
        state = smart.cache.stats().tiers[-1]
        acts = [act for actor in actors for act in actor.acts]
        told = (acts, truth.commits, heart.beats, state.failures, state.openings)
    return Told(job.process, *told)


class Actor:
    """Reads and writes in one thread."""

    def __init__(self, job: Job, thread: int, entities: list[Any]) -> None:
        self.acts: list[Act] = []
        self._process = job.process
        self._pause = job.pause
        self._draw = random.Random(f"{job.seed} {job.process} {thread}")
        self._numbers = iter(range(1 + (job.process * job.threads + thread) * _EACH, 2**62))
        self._entities = entities

    def act(self, signs: Signs) -> None:
        """Read and write until the sign to stop."""
        draw, rest = self._draw, threading.Event()
        while not signs.up(STOP):
            entities = draw.choice(self._entities)
            one = draw.randrange(HOT) if draw.random() < 0.2 else draw.choice(IDS)
            chance = draw.random()
            if chance < 0.12:
                self._write(entities, one)
            elif chance < 0.3:
                self._read_many(entities, sorted({one, *draw.sample(IDS, 2)}))
            else:
                self._read(entities, one)
            rest.wait(draw.expovariate(1 / self._pause))

    def _read(self, entities: Entities[Any, int, Item], one: int) -> None:
        with self._timed("read", entities.name, [one]) as found:
            item = entities.get(one)
            found.numbers[one] = None if item is None else item.number

    def _read_many(self, entities: Entities[Any, int, Item], ids: list[int]) -> None:
        with self._timed("read", entities.name, ids) as found:
            found.numbers |= {one: item.number for one, item in entities.get_many(ids).items()}

    def _write(self, entities: Entities[Any, int, Item], one: int) -> None:
        number = next(self._numbers)
        with self._timed("write", entities.name, [one]) as found:
            found.numbers[one] = number
            save: Any = entities.save
            found.order = save(Item(one, number)) or 0

    @contextlib.contextmanager
    def _timed(self, what: str, name: str, ids: list[int]) -> Iterator[_Found]:
        found = _Found()
        failed = Lost()
        lost.set(failed)
        begin, error = time.monotonic(), ""
        try:
            yield found
        except Exception as raised:
            error = type(raised).__name__
        end = time.monotonic()
        self.acts += [
            Act(
                self._process,
                what,
                name,
                one,
                found.numbers.get(one),
                begin,
                end,
                error,
                failed.count,
                found.order,
            )
            for one in ids
        ]


class _Found:
    def __init__(self) -> None:
        self.numbers: dict[int, int | None] = {}
        self.order = 0


class Heart:
    """Tells all the time how a process is, and by the gaps for how long it stood still.

    Args:
        smart: Its cache.
        well: Gets whether all is well.
    """

    def __init__(self, smart: Hub[Any], well: Callable[[bool], object]) -> None:
        self.beats: list[Beat] = []
        self._well = well
        self._engine = smart.cache._engine
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Come to an end."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        guard = self._engine.authority
        assert guard is not None
        while not self._stopped.wait(BEAT):
            beat = Beat(time.monotonic(), guard.owes, guard.away, self._engine.listening)
            self.beats.append(beat)
            self._well(beat.well)


def _converges(entities: Entities[Any, int, Item], truth: Truth) -> None:
    """What is read in the end is what the source has, and not because its time was over."""

    def same() -> bool:
        read = {one: item.number for one, item in entities.get_many(IDS).items()}
        return read == truth.numbers(entities.name)

    until(same, f"that {entities.name} reads what the source has")


def _depth(behind: Any) -> int:
    """How many writes wait; one where nobody can say."""
    try:
        return int(behind.state().depth)
    except Unavailable:
        return 1


@contextlib.contextmanager
def _jumping_clock(signs: Signs, process: int) -> Iterator[None]:
    """Let the wall clock of the first process jump when there is a sign."""
    if process:
        yield
        return
    plain = time.time
    time.time = lambda: plain() + JUMP * signs.up(CLOCK_JUMPED)
    try:
        yield
    finally:
        time.time = plain


def _forget_debts(*_: Any) -> None:
    """What could not be invalidated is not invalidated later."""


def _try_always(*_: Any) -> bool:
    """A store that failed is asked again at once."""
    return True


PLANTED: dict[str, tuple[str, Any]] = {
    "forgets debts": ("remember", _forget_debts),
    "tries always": ("closed", _try_always),
}
"""Bugs that can be planted: methods of a guard."""


@contextlib.contextmanager
def _planted(name: str) -> Iterator[None]:
    """Plant a bug, if one is named."""
    if not name:
        yield
        return
    method, bug = PLANTED[name]
    plain = getattr(Guard, method)
    setattr(Guard, method, bug)
    try:
        yield
    finally:
        setattr(Guard, method, plain)
