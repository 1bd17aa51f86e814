"""Filling a cache before its readers come: before a deploy, after a flush.

    keys = most_read("access.log", most=5_000)
    with bar() as progress:
        warm(keys, load, rate=500, brake=Brake(), checkpoint=Checkpoint("warm.json"),
             progress=progress)

Keys come from anywhere: `most_read` takes them from an access log, `keys_in` from a file, and a
query is an iterable as well:

    warm(session.scalars(select(Article.id).order_by(Article.reads.desc())), load)

They are taken batch by batch, so that a million of them needs no more memory than one batch.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from labkit.cache.checkpoint import Checkpoint, Trail
from labkit.cache.keyfiles import keys_in, most_read
from labkit.cache.pacing import Brake, Pace
from labkit.cache.steps import Apart, Load, run, run_async

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from labkit.cache.steps import Steps

__all__ = [
    "Brake",
    "Checkpoint",
    "Warmed",
    "bar",
    "keys_in",
    "most_read",
    "warm",
    "warm_async",
]

K = TypeVar("K")

Progress: TypeAlias = Callable[[int, int | None], object]
"""Hears how many keys are behind, and how many there are; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Warmed:
    """What a run did with the keys that it was given.

    Attributes:
        done: How many were loaded.
        skipped: How many were passed over: behind the checkpoint, or a second time in their batch.
        seconds: How long the run took.
        stopped: Why it ended before the keys did; None if it came to their end.
        failed: How many were in batches that failed.
    """

    done: int
    skipped: int
    seconds: float
    stopped: str | None
    failed: int


def warm(
    keys: Iterable[K],
    load: Callable[[list[K]], object],
    *,
    rate: float | None = None,
    batch: int = 100,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
    brake: Brake | None = None,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], object] = time.sleep,
) -> Warmed:
    """Load keys in batches, until there are no more or the brake stops it.

    Args:
        keys: What to load, the most important first; texts, numbers, or what else `load` takes.
        load: Gets the keys of a batch, each once, and puts them into the cache, such as
            `lambda keys: cache.get_or_load_many(keys, loader)`.
        rate: How many keys a second at most; None: as fast as they load.
        batch: How many keys go together.
        checkpoint: Where the position is kept after each batch. A run that was killed or stopped
            goes on there when it is given the same keys. The batch in which it was killed is loaded
            again, and so are failed ones at which it stopped; failed ones before others that went
            well are not.
        progress: Called after each batch; see `bar`.
        brake: When to go slower and when to stop. Without one, the first error of `load` is raised.
        clock: Seconds that only grow.
        wait: Waits for some seconds.

    Returns:
        What was done.

    Raises:
        TypeError: `keys` is one text.
        ValueError: An argument makes no sense, or the checkpoint belongs to other keys.
    """
    return run(_warm(keys, load, rate, batch, checkpoint, progress, brake, clock, wait))


async def warm_async(
    keys: Iterable[K],
    load: Callable[[list[K]], Awaitable[object]],
    *,
    rate: float | None = None,
    batch: int = 100,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
    brake: Brake | None = None,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Warmed:
    """`warm`, with a `load` and a `wait` that are awaited."""
    return await run_async(_warm(keys, load, rate, batch, checkpoint, progress, brake, clock, wait))


@contextmanager
def bar(title: str = "warming") -> Iterator[Progress]:
    """A progress bar for `warm`, in a terminal and in a notebook.

        with bar() as progress:
            warm(keys, load, progress=progress)

    Args:
        title: What stands before it.
    """
    from rich import progress as rich

    # Drawn when it is told to, not by a thread; in a notebook as text, which is kept with it.
    bars = rich.Progress(
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(),
        rich.TextColumn("{task.fields[position]}"),
        rich.TimeRemainingColumn(),
        auto_refresh=False,
    )
    task = bars.add_task(title, total=None, position="")

    def show(done: int, total: int | None) -> None:
        position = f"{done:,}" if total is None else f"{done:,} of {total:,}"
        bars.update(task, completed=done, total=total, position=position, refresh=True)

    if not bars.console.is_jupyter:
        with bars:
            yield show
        return
    from IPython.display import display

    handle = display(bars, display_id=True)

    def show_again(done: int, total: int | None) -> None:
        show(done, total)
        handle.update(bars)

    yield show_again


def _warm(
    keys: Iterable[Any],
    load: Callable[[list[Any]], Any],
    rate: float | None,
    batch: int,
    checkpoint: Checkpoint | None,
    progress: Progress | None,
    brake: Brake | None,
    clock: Callable[[], float],
    wait: Callable[[float], Any],
) -> Steps[Warmed]:
    if isinstance(keys, str):
        raise TypeError(f"keys is the text {keys!r}; expected several keys")
    if batch < 1:
        raise ValueError(f"batch is {batch!r}; expected a whole number above 0")
    pace = Pace(rate, brake, clock)
    began = clock()
    total = len(keys) if isinstance(keys, Sized) else None
    coming = iter(keys)
    trail = checkpoint.resume(coming) if checkpoint else Trail()
    seen = skipped = trail.count
    done = failed = 0
    error: Exception | None = None
    stopped: str | None = None
    while stopped is None and (part := list(itertools.islice(coming, batch))):
        distinct = list(dict.fromkeys(part))
        yield from _paused(pace.pause(), wait)
        pace.begin(len(distinct))
        outcome, raised = yield Load(partial(load, distinct))
        error = outcome if raised else None
        stopped = pace.end(error)
        seen += len(part)
        skipped += len(part) - len(distinct)
        if error is None:
            done += len(distinct)
        else:
            failed += len(distinct)
        if checkpoint:
            trail.add(part)
            # Behind a failed batch only once another went well: an outage costs no key.
            if error is None:
                yield Apart(partial(checkpoint.save, trail))
        if progress:
            progress(seen, total)
    if error is not None and stopped is None:
        stopped = f"the last batch failed with {error!r}"
    if stopped is None:
        if checkpoint:
            checkpoint.remove()
        if progress and total is None:
            progress(seen, seen)
    return Warmed(done, skipped, clock() - began, stopped, failed)


def _paused(seconds: float, wait: Callable[[float], Any]) -> Steps[None]:
    if seconds > 0:
        outcome, raised = yield Load(partial(wait, seconds))
        if raised:
            raise outcome
