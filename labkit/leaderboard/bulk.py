"""Loading whole tables in chunks: one is made while the server stores the one before."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from labkit.calls import scripts_of, send, send_async
from labkit.leaderboard.operations import Writes, check_count
from labkit.leaderboard.windows import seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.leaderboard.scripts import Call

_LARGEST_CHUNK = 3000

_Answer = tuple[int, list[str]]


class Loaded(msgspec.Struct, frozen=True):
    """What a bulk load did.

    Attributes:
        rows: How many rows were sent.
        refused: Members whose score the board refused, in one of its windows at least: a total
            outside the bounds, or a difference smaller than the step.
    """

    rows: int
    refused: list[str]


def load(
    client: Any, writes: Writes, rows: Any, at: Any, ordered: bool, progress: bool, chunk: int
) -> Loaded:
    """The work of `Leaderboard.load`."""
    held = scripts_of(client)
    count = 0
    refused: list[str] = []
    with _bar(rows, progress) as advance, ThreadPoolExecutor(1) as sender:
        pending: Future[_Answer] | None = None
        for call in itertools.chain(_calls(writes, rows, at, ordered, chunk), (None,)):
            following = None if call is None else sender.submit(send, client, held, call)
            if pending is not None:
                taken, names = pending.result()
                count, refused = count + taken, refused + names
                advance(taken)
            pending = following
    return Loaded(count, refused)


async def load_async(
    client: Any, writes: Writes, rows: Any, at: Any, ordered: bool, progress: bool, chunk: int
) -> Loaded:
    """The work of `AsyncLeaderboard.load`."""
    held = scripts_of(client)
    count = 0
    refused: list[str] = []
    with _bar(rows, progress) as advance:
        for call in _calls(writes, rows, at, ordered, chunk):
            taken, names = await send_async(client, held, call)
            count, refused = count + taken, refused + names
            advance(taken)
            await asyncio.sleep(0)
    return Loaded(count, refused)


def _calls(
    writes: Writes, rows: Any, at: Any, ordered: bool, chunk: int
) -> Iterator[Call[_Answer]]:
    check_count(chunk, "chunk", _LARGEST_CHUNK)
    moment = writes.board.clock() if at is None else seconds(at)
    pairs = _pairs(rows)
    sent = 0
    while part := list(itertools.islice(pairs, chunk)):
        try:
            checked = writes.bulk(part)
        except (TypeError, ValueError) as error:
            raise type(error)(f"in rows {sent} to {sent + len(part) - 1}: {error}") from error
        yield writes.load(checked, moment, ordered=ordered)
        sent += len(part)


def _pairs(rows: Any) -> Iterator[tuple[Any, Any]]:
    """Members and scores, from a frame, a mapping or pairs."""
    if hasattr(rows, "columns"):
        missing = {"member", "score"} - set(rows.columns)
        if missing:
            raise ValueError(f"the frame has no column {', '.join(sorted(missing))}")
        return _frame(rows)
    return iter(rows.items() if isinstance(rows, Mapping) else rows)


def _frame(frame: Any) -> Iterator[tuple[Any, Any]]:
    # In parts, as a column that becomes a list takes several times the room.
    for start in range(0, len(frame), 10_000):
        part = frame.iloc[start : start + 10_000]
        yield from zip(part["member"].tolist(), part["score"].tolist(), strict=True)


@contextmanager
def _bar(rows: Any, progress: bool) -> Iterator[Callable[[int], object]]:
    """A progress bar, or nothing."""
    if not progress:
        yield lambda _: None
        return
    from rich.progress import Progress

    total = len(rows) if hasattr(rows, "__len__") else None
    with Progress() as bars:
        task = bars.add_task("loading", total=total)
        yield lambda count: bars.advance(task, count)
