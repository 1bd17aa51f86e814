"""A plan on its way: step by step, each in the journal before it is done."""

from __future__ import annotations

from collections import Counter, deque
from itertools import compress
from typing import TYPE_CHECKING, Self

from labkit.inspect.bulk.actions import turns
from labkit.inspect.bulk.outcome import (
    AGAIN,
    CHANGED,
    GONE,
    LARGE,
    LARGEST,
    OTHER,
    TAKEN,
    Done,
    counted,
)
from labkit.inspect.bulk.records import After, Before, Planned, Undone, decode, encode
from labkit.inspect.bulk.rights import refuse_forbidden
from labkit.inspect.pace import Pace
from labkit.inspect.scripts import ask, chunks, database_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import redis

    from labkit.inspect.journal import Journal

ENOUGH = 8 * 2**20  # bytes of dumped values after which a batch ends
_TRIES = 3


class Run:
    """A plan on its way, and what has come of its keys so far.

    Attributes:
        undone: A record without keys if it is being undone, and one for each step that is undone.
    """

    def __init__(self, client: redis.Redis, planned: Planned) -> None:
        self._client = client
        self._plan = planned
        self._journal: Journal | None = None
        self._came = bytearray(len(planned.keys))  # codes; 0: nothing yet
        self._tries: Counter[int] = Counter()
        self._open: Before | None = None
        self.undone: list[Undone] = []

    @classmethod
    def read(cls, client: redis.Redis, journal: Journal) -> Self:
        """What a journal says of a run."""
        records = map(decode, journal.records())
        planned = next(records, None)
        if not isinstance(planned, Planned):
            raise ValueError(
                f"{journal.path} has no plan: the run was stopped before it changed anything. "
                "Remove the file, and run again"
            )
        if database_of(client) != planned.home:
            raise ValueError(
                f"{journal.path} is of database {planned.home}, and the client of database "
                f"{database_of(client)}; pass a client of the first"
            )
        run = cls(client, planned)
        run._journal = journal
        for record in records:
            match record:
                case Before():
                    run._open = record
                case After():
                    run._note(record)
                case Undone():
                    run.undone.append(record)
        return run

    def begin(self, journal: Journal) -> None:
        """Write down what is planned."""
        self._journal = journal
        journal.append(encode(self._plan))

    def check(self, *, kept: bool) -> None:
        """Let the server refuse what it would refuse later; it does nothing of it."""
        action = self._plan.action
        reads = ["PTTL", "DUMP"] if kept and action.looks != "expiry" else ["PTTL"]
        for some in chunks(self._left()):
            commands = [action.command(*self._keys([at])) for at in some]
            commands += [(name, self._plan.keys[at]) for name in reads for at in some]
            refuse_forbidden(self._client, commands)

    def settle(self) -> None:
        """Find out what came of a step that was stopped."""
        if self._open is None:
            return
        before = self._open
        came, marks = self._change(before, "look")
        self._write(After(before.at, came, marks), sync=True)

    def go(self, progress: Callable[[int], None] | None) -> Done:
        """Do what is left to be done."""
        waiting = deque(self._left())
        pace = Pace(self._plan.rate)
        most = pace.most(self._plan.batch)
        while waiting:
            some = [waiting.popleft() for _ in range(min(most, len(waiting)))]
            pace.wait(len(some))
            seen = self._step(some)
            waiting.extendleft(reversed(some[seen:]))
            waiting.extend(at for at in some[:seen] if not self._came[at])
            if progress is not None:
                progress(len(self._came) - self._came.count(AGAIN))
        return counted(self._came)

    def undo(self) -> Done:
        """Put back what is not put back yet."""
        if not self.undone:
            self._write(Undone([]), sync=True)  # from here on it cannot be resumed
        done = len(self.undone)
        for number, (before, after) in enumerate(self._steps(), start=1):
            if number >= done:
                self._write(Undone(self._put_back(before, after)))
        return counted([code for record in self.undone for code in record.came])

    def _step(self, some: Sequence[int]) -> int:
        """One batch, or as much of it as one step can read; how many keys it was."""
        action = self._plan.action
        taken = action.taken(self._client, self._keys(some))
        looks = "expiry" if self._journal is None else action.looks
        sources = [self._plan.keys[at] for at in some]
        now, expiries, tokens, dumps = ask(self._client, "bulk_read", sources, looks, ENOUGH)
        read = Before(list(some[: len(expiries)]), expiries, tokens, dumps, action.goal(now))
        left = list(map(self._declined, expiries, dumps, taken))
        before = read.only([not code for code in left])
        after = After(list(compress(read.at, left)), list(filter(None, left)), [])
        if before.at:
            self._write(before, sync=True)
            came, after.marks = self._change(before, "do")
            after.at += before.at
            after.came += map(self._tried, before.at, came)
        self._write(after)
        return len(read.at)

    def _declined(self, expiry: int, dump: bytes, taken: int) -> int:
        """The code of why a key is left alone, or 0."""
        if expiry == -2:
            return GONE
        if taken:
            return TAKEN
        return LARGE if len(dump) > LARGEST else self._plan.action.declines(expiry)

    def _tried(self, at: int, code: int) -> int:
        """A code; in the place of "again" another one if that has come too often."""
        self._tries[at] += code == AGAIN
        return OTHER if self._tries[at] == _TRIES else code

    def _change(self, before: Before, mode: str) -> tuple[list[int], list[bytes]]:
        return self._plan.action.change(self._client, self._keys(before.at), before, mode)

    def _put_back(self, before: Before, after: After) -> list[int]:
        came = dict(zip(after.at, after.came, strict=True))
        chosen = [came[at] == CHANGED for at in before.at]
        if not any(chosen):
            return []
        part = before.only(chosen)
        marks = list(compress(after.marks, chosen))
        return self._plan.action.undo(self._client, self._keys(part.at), part, marks)

    def _steps(self) -> Iterator[tuple[Before, After]]:
        """The steps that have changed keys, from the journal: what is deleted may be much."""
        assert self._journal is not None
        before = None
        for record in map(decode, self._journal.records()):
            if isinstance(record, Before):
                before = record
            elif isinstance(record, After) and before is not None:
                yield before, record
                before = None

    def _write(self, record: Before | After | Undone, *, sync: bool = False) -> None:
        if self._journal is not None:
            self._journal.append(encode(record), sync=sync)
        match record:
            case After():
                self._note(record)
            case Undone():
                self.undone.append(record)

    def _note(self, after: After) -> None:
        self._open = None
        for at, code in zip(after.at, after.came, strict=True):
            self._came[at] = code

    def _left(self) -> list[int]:
        return [at for at, code in enumerate(self._came) if not code]

    def _keys(self, some: Sequence[int]) -> list[bytes]:
        """Keys, in turn with their targets if they have any."""
        keys = [self._plan.keys[at] for at in some]
        if not self._plan.targets:
            return keys
        return turns(keys, [self._plan.targets[at] for at in some])
