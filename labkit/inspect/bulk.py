"""Work on many keys at once: delete, expire, persist, rename and copy them, and take it back.

A plan is made first, which changes nothing and says what would be done. It runs in batches; what
puts a batch back is in a journal on the disk before the batch is changed. After a crash, however it
came, `resume` goes on, and `undo` puts back what was.

| What happens meanwhile | What comes of it |
| --- | --- |
| A key comes that the pattern fits | it is not in the plan, and is left alone |
| A key of the plan goes | it counts as gone |
| A value changes before its key is deleted, renamed or copied | it is read again, 3 times at most |
| A key comes where one is to be renamed, copied or put back to | it stays: skipped |
| The process ends, or its connection | `resume` finds out what the last batch came to; goes on |

Example:
    >>> plan = bulk.delete(client, "session:*")
    >>> print(plan)
    Delete 2 keys: "session:1", "session:2"
    >>> print(plan.run(undo="sessions.journal"))
    2 changed, 0 skipped, 0 gone
    >>> print(bulk.undo(client, "sessions.journal"))
    2 changed, 0 skipped, 0 gone
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import compress
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import msgspec
import redis
from redis.client import NEVER_DECODE

from labkit.clock import duration
from labkit.inspect.journal import Journal
from labkit.inspect.printing import quoted
from labkit.inspect.scripts import ask, database_of, refuse_others

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

BATCH = 500
"""Keys that one step changes, unless told otherwise."""
LARGEST = 512 * 2**20
"""Bytes that a dumped value may have; a server takes no larger one back."""

_ENOUGH = 8 * 2**20  # bytes of dumped values after which a batch ends
_CHUNK = 1000  # keys of a step that changes nothing
_TRIES = 3
_LONGEST = 1000 * 365 * 86_400  # seconds
_SHOWN = 3  # names that a text shows

# What came of a key; the first five are in lua/bulk_common.lua, too.
_AGAIN, _CHANGED, _GONE, _TAKEN, _OTHER, _ENDLESS, _MORTAL, _LARGE = range(8)
_REASONS = {
    _TAKEN: "a key of that name is there",
    _OTHER: "it was changed meanwhile",
    _ENDLESS: "it does not expire",
    _MORTAL: "it expires already",
    _LARGE: f"a value of more than {LARGEST // 2**20} MB could not be put back",
}


def delete(
    client: redis.Redis,
    pattern: str | bytes,
    *,
    type: str | None = None,  # noqa: A002 - as SCAN calls it
) -> Plan:
    """A plan to delete keys, with UNLINK.

    Undone, a key is back with its value and its expiry, unless its time is over or there is a new
    key of its name.

    Args:
        client: Whose keys they are. Not a cluster: ask its nodes.
        pattern: Which, as for SCAN: `*`, `?`, `[ab]`.
        type: Only keys of this type, as for SCAN: "string", "hash", ...

    Raises:
        TypeError: The client is not a synchronous one of one server.
        redis.RedisError: What the server refuses.
    """
    return Plan(client, _Delete(), _found(client, pattern, type))


def expire(
    client: redis.Redis,
    pattern: str | bytes,
    ttl: float | str,
    *,
    only: Literal["immortal"] | None = None,
    type: str | None = None,  # noqa: A002
) -> Plan:
    """A plan to let keys expire.

    Undone, a key has the expiry that it had, if it still has the one that it was given. A key whose
    time is over by then cannot be put back, and one whose former time is over goes.

    Args:
        client: Whose keys they are.
        pattern: Which, as for SCAN.
        ttl: How long they live from the moment at which their batch is run; a `duration`.
        only: "immortal": only keys that do not expire so far.
        type: Only keys of this type.

    Raises:
        TypeError: As in `delete`, or `ttl` is no duration.
        ValueError: `ttl` is no duration, below a millisecond or above 1,000 years; or there is no
            such choice as `only`.
        redis.RedisError: What the server refuses.
    """
    seconds = duration(ttl)
    if not 0.001 <= seconds <= _LONGEST:
        raise ValueError(
            f"ttl is {ttl!r}; expected a millisecond to 1,000 years. To remove keys, use delete"
        )
    if only not in (None, "immortal"):
        raise ValueError(f'only is {only!r}; expected "immortal" or None')
    keys = _found(client, pattern, type)
    if only is not None:
        keys = [key for key, left in zip(keys, _ttls(client, keys), strict=True) if left == -1]
    return Plan(client, _Expire(round(seconds * 1000), only is not None), keys)


def persist(
    client: redis.Redis,
    pattern: str | bytes,
    *,
    type: str | None = None,  # noqa: A002
) -> Plan:
    """A plan to let keys live for ever; those that do already are skipped.

    Undone as in `expire`. Arguments and errors as in `delete`.
    """
    return Plan(client, _Expire(None, False), _found(client, pattern, type))


def rename(
    client: redis.Redis,
    pattern: str | bytes,
    to: Callable[[str], str] | str,
    *,
    type: str | None = None,  # noqa: A002
) -> Plan:
    """A plan to rename keys, each to a name that is free.

    Undone, a key has its name again, whatever its value is then.

    Args:
        client: Whose keys they are.
        pattern: Which, as for SCAN.
        to: The new name: a text in which `{}` stands for the old one, such as "archive:{}"; or what
            makes the new name of the old one. Bytes that are no UTF-8 are surrogates in both.
        type: Only keys of this type.

    Raises:
        TypeError: As in `delete`.
        ValueError: Two keys would get one name, or one its own or that of a key that is there.
        redis.RedisError: What the server refuses.
    """
    keys = _found(client, pattern, type)
    targets = _named(keys, to)
    _refuse_conflicts(client, keys, targets, None)
    return Plan(client, _Rename(), keys, targets)


def copy(
    client: redis.Redis,
    pattern: str | bytes,
    to: Callable[[str], str] | str = "{}",
    *,
    database: int | None = None,
    type: str | None = None,  # noqa: A002
) -> Plan:
    """A plan to copy keys with their expiries, each to a name that is free.

    Undone, copies are deleted that are what they were when they were made.

    Args:
        client: Whose keys they are.
        pattern: Which, as for SCAN.
        to: The names of the copies, as in `rename`.
        database: The number of the database where they shall be; None: where the keys are.
        type: Only keys of this type.

    Raises:
        TypeError: As in `delete`.
        ValueError: As in `rename`.
        redis.RedisError: What the server refuses.
    """
    keys = _found(client, pattern, type)
    elsewhere = None if database == database_of(client) else database
    targets = _named(keys, to)
    _refuse_conflicts(client, keys, targets, elsewhere)
    return Plan(client, _Copy(elsewhere), keys, targets)


def resume(
    client: redis.Redis,
    path: str | os.PathLike[str],
    *,
    progress: Callable[[int], None] | None = None,
) -> Done:
    """Go on with a run that was stopped; of one that was not, only tell what came of it.

    What the last batch came to is found out first. A key of it that is to be deleted and is not
    there any more counts as deleted, whoever did it; one that has another value now is skipped.

    Args:
        client: Of the server and database where it began.
        path: The journal.
        progress: As in `Plan.run`.

    Returns:
        What came of all keys of the plan.

    Raises:
        FileNotFoundError: There is no journal.
        BlockingIOError: Another process works with it.
        labkit.inspect.journal.Damaged: It cannot be read.
        ValueError: It was stopped before it began, is being undone, or is of another database.
        redis.RedisError: What the server refuses.
    """
    with Journal(path) as journal:
        run = _Run.read(client, journal)
        if run.undone:
            raise ValueError(f"{path} is being undone; bulk.undo goes on with that")
        run.settle()
        run.check(kept=True)
        return run.go(progress)


def undo(client: redis.Redis, path: str | os.PathLike[str]) -> Done:
    """Put back what a run has changed, also of one that was stopped.

    After a crash, undo again: it goes on. Once it has ended, it only tells what came of it.

    Args:
        client: Of the server and database where it began.
        path: The journal.

    Returns:
        What came of the keys that were changed: those that are back count as changed. Of a batch
        whose answer was lost, a copy that was deleted may count as gone, and a large set or hash
        that is back as skipped.

    Raises:
        FileNotFoundError: There is no journal.
        BlockingIOError: Another process works with it.
        labkit.inspect.journal.Damaged: It cannot be read.
        ValueError: It was stopped before it began, or is of another database.
        redis.RedisError: What the server refuses.
    """
    with Journal(path) as journal:
        run = _Run.read(client, journal)
        run.settle()
        return run.undo()


@dataclass(frozen=True)
class Done:
    """What came of keys; every one counts once.

    Attributes:
        changed: So many were changed.
        skipped: So many were left as they are.
        gone: So many were not there any more.
        reasons: Why some were skipped, and how many for each reason.
    """

    changed: int
    skipped: int
    gone: int
    reasons: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{self.changed:,} changed, {self.skipped:,} skipped, {self.gone:,} gone"]
        return "\n".join(
            lines + [f"{count:,} skipped: {why}" for why, count in self.reasons.items()]
        )


class Plan:
    """What would be done, to which keys; `print` it.

    Attributes:
        keys: The keys, in order.
        targets: The new name of each, or that of its copy; empty for what makes none.
    """

    def __init__(
        self,
        client: redis.Redis,
        action: _Delete | _Expire | _Rename | _Copy,
        keys: Sequence[bytes],
        targets: Sequence[bytes] = (),
    ) -> None:
        self._client = client
        self._action = action
        self.keys = tuple(keys)
        self.targets = tuple(targets)

    def run(
        self,
        *,
        undo: str | os.PathLike[str] | None,
        rate: float | None = None,
        batch: int = BATCH,
        progress: Callable[[int], None] | None = None,
    ) -> Done:
        """Do it: to these keys, and to no others.

        Args:
            undo: Where to write the journal, a new file that only its owner may read. It grows by
                what is deleted. None: do without; then nothing can be undone, nor go on.
            rate: How many keys a second at most. None: as fast as they go.
            batch: How many keys one step changes at most, while the server serves nobody else.
            progress: Called after each step with the number of keys so far.

        Raises:
            ValueError: A number makes no sense.
            FileExistsError: The journal is there already.
            redis.RedisError: What the server refuses: before anything is changed, if it is a
                replica or does not let this user do it. After any other error `resume` goes on.
        """
        if batch < 1:
            raise ValueError(f"batch is {batch}; expected 1 or more keys")
        Pace(rate)
        home = database_of(self._client)
        planned = _Planned(self._action, self.keys, self.targets, home, rate, batch)
        run = _Run(self._client, planned)
        run.check(kept=undo is not None)
        if undo is None:
            return run.go(progress)
        with Journal(undo, new=True) as journal:
            run.begin(journal)
            return run.go(progress)

    def __len__(self) -> int:
        return len(self.keys)

    def __str__(self) -> str:
        count = f"{len(self):,} key{'' if len(self) == 1 else 's'}"
        names = [_shown(key) for key in self.keys[:_SHOWN]]
        if self.targets:
            names = [
                f"{name} to {_shown(to)}"
                for name, to in zip(names, self.targets[:_SHOWN], strict=True)
            ]
        left = len(self) - len(names)
        listed = ", ".join(names) + (f" and {left:,} more" if left else "")
        return self._action.words().format(count) + (f": {listed}" if names else "")

    def __repr__(self) -> str:
        return f"<Plan: {self}>"


class Pace:
    """Lets batches go so that there are no more keys a second than asked for.

    Args:
        rate: How many; None: any.
        clock: Seconds that only grow.
        sleep: Waits for seconds.

    Raises:
        ValueError: `rate` is not above 0.
    """

    def __init__(
        self,
        rate: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if rate is not None and not rate > 0:
            raise ValueError(f"rate is {rate!r}; expected keys a second above 0, or None")
        self._rate = math.inf if rate is None else rate
        self._clock = clock
        self._sleep = sleep
        self._free = -math.inf

    def most(self, batch: int) -> int:
        """How many keys of a batch may go at once: no more than in a second."""
        return math.ceil(min(batch, self._rate))

    def wait(self, keys: int) -> None:
        """Wait until so many keys may go; they go now."""
        pause = self._free - self._clock()
        if pause > 0:
            self._sleep(pause)
        self._free = self._clock() + keys / self._rate


class _Planned(msgspec.Struct, tag="planned"):
    """What the first record has: all that a run needs."""

    action: _Delete | _Expire | _Rename | _Copy
    keys: tuple[bytes, ...]
    targets: tuple[bytes, ...]
    home: int
    rate: float | None
    batch: int


class _Before(msgspec.Struct, tag="before"):
    """What keys were before they are changed, in columns.

    Attributes:
        at: Which keys of the plan.
        expiries: In ms since the epoch; -1: never.
        tokens: By which their values are known again; empty: any value will do.
        dumps: Their values, as far as they are needed.
        to: What their expiries shall be.
    """

    at: list[int]
    expiries: list[int]
    tokens: list[bytes]
    dumps: list[bytes]
    to: int

    def only(self, chosen: Sequence[bool]) -> _Before:
        return _Before(
            list(compress(self.at, chosen)),
            list(compress(self.expiries, chosen)),
            list(compress(self.tokens, chosen)),
            list(compress(self.dumps, chosen)),
            self.to,
        )


class _After(msgspec.Struct, tag="after"):
    """What came of keys: of those of the record before, and of others that were left alone.

    Attributes:
        at: Which keys of the plan.
        came: A code for each.
        marks: The tokens of the copies that were made of the keys of the record before.
    """

    at: list[int]
    came: list[int]
    marks: list[bytes]


class _Undone(msgspec.Struct, tag="undone"):
    """What came of the keys of one step when they were put back."""

    came: list[int]


class _Action(msgspec.Struct):
    """What is done to keys, and taken back. Keys with targets come in turn with them."""

    looks: ClassVar[str] = "token"

    def words(self) -> str:
        """What is done to how many keys, `{}`."""
        raise NotImplementedError

    def command(self, *keys: bytes) -> tuple[Any, ...]:
        """What the server does to one key."""
        raise NotImplementedError

    def change(
        self, client: redis.Redis, keys: Sequence[bytes], before: _Before, mode: str
    ) -> tuple[list[int], list[bytes]]:
        """Do it, or with the mode "look" find out for which it was done; codes and marks."""
        raise NotImplementedError

    def undo(
        self, client: redis.Redis, keys: Sequence[bytes], before: _Before, marks: Sequence[bytes]
    ) -> list[int]:
        raise NotImplementedError

    def declines(self, expiry: int) -> int:
        """The code of why nothing is to be done to a key, or 0."""
        return 0

    def goal(self, now: int) -> int:
        """What the expiries of keys shall be, in ms; of no meaning where they stay."""
        return -1

    def taken(self, client: redis.Redis, keys: Sequence[bytes]) -> list[int]:
        """Which targets are there, 1 or 0 for each."""
        return [0] * len(keys)


class _Delete(_Action, tag="delete"):
    looks: ClassVar[str] = "dump"

    def words(self) -> str:
        return "Delete {}"

    def command(self, *keys: bytes) -> tuple[Any, ...]:
        return ("UNLINK", *keys)

    def change(
        self, client: redis.Redis, keys: Sequence[bytes], before: _Before, mode: str
    ) -> tuple[list[int], list[bytes]]:
        return ask(client, "bulk_delete", keys, mode, *_turns(before.tokens, before.expiries)), []

    def undo(
        self, client: redis.Redis, keys: Sequence[bytes], before: _Before, marks: Sequence[bytes]
    ) -> list[int]:
        rows = _turns(before.dumps, before.tokens, before.expiries)
        return ask(client, "bulk_restore", keys, *rows)


class _Expire(_Action, tag="expire"):
    """Sets a time to live in ms, or takes it away: None."""

    looks: ClassVar[str] = "expiry"

    ttl: int | None
    immortal: bool

    def words(self) -> str:
        if self.ttl is None:
            return "Let {} live for ever"
        return f"Let {{}} expire in {self.ttl / 1000:,g} s"

    def command(self, *keys: bytes) -> tuple[Any, ...]:
        return ("PERSIST", *keys) if self.ttl is None else ("PEXPIREAT", *keys, 1)

    def declines(self, expiry: int) -> int:
        if self.ttl is None and expiry == -1:
            return _ENDLESS
        return _MORTAL if self.immortal and expiry >= 0 else 0

    def goal(self, now: int) -> int:
        return -1 if self.ttl is None else now + self.ttl

    def change(
        self, client: redis.Redis, keys: Sequence[bytes], before: _Before, mode: str
    ) -> tuple[list[int], list[bytes]]:
        goals = [before.to] * len(keys)
        return ask(client, "bulk_expire", keys, mode, *_turns(before.expiries, goals)), []

    def undo(
        self, client: redis.Redis, keys: Sequence[bytes], before: _Before, marks: Sequence[bytes]
    ) -> list[int]:
        given = [before.to] * len(keys)
        came = ask(client, "bulk_expire", keys, "do", *_turns(given, before.expiries))
        return [code or _OTHER for code in came]


class _Rename(_Action, tag="rename"):
    def words(self) -> str:
        return "Rename {}"

    def command(self, *keys: bytes) -> tuple[Any, ...]:
        return ("RENAMENX", *keys)

    def taken(self, client: redis.Redis, keys: Sequence[bytes]) -> list[int]:
        return _exist(client, keys[1::2], None)

    def change(
        self, client: redis.Redis, keys: Sequence[bytes], before: _Before, mode: str
    ) -> tuple[list[int], list[bytes]]:
        return ask(client, "bulk_rename", keys, mode, *before.tokens), []

    def undo(
        self, client: redis.Redis, keys: Sequence[bytes], before: _Before, marks: Sequence[bytes]
    ) -> list[int]:
        back = _turns(keys[1::2], keys[::2])
        return ask(client, "bulk_rename", back, "back", *before.tokens)


class _Copy(_Action, tag="copy"):
    database: int | None

    def words(self) -> str:
        return "Copy {}" if self.database is None else f"Copy {{}} to database {self.database}"

    def command(self, *keys: bytes) -> tuple[Any, ...]:
        where = () if self.database is None else ("DB", self.database)
        return ("COPY", *keys, *where)

    def taken(self, client: redis.Redis, keys: Sequence[bytes]) -> list[int]:
        return _exist(client, keys[1::2], self.database)

    def change(
        self, client: redis.Redis, keys: Sequence[bytes], before: _Before, mode: str
    ) -> tuple[list[int], list[bytes]]:
        where = _where(client, self.database)
        came, marks = ask(client, "bulk_copy", keys, mode, *where, *before.tokens)
        return came, marks

    def undo(
        self, client: redis.Redis, keys: Sequence[bytes], before: _Before, marks: Sequence[bytes]
    ) -> list[int]:
        where = _where(client, self.database)
        return ask(client, "bulk_uncopy", keys[1::2], *where, *marks)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Planned | _Before | _After | _Undone).decode


class _Run:
    """A plan on its way, and what has come of its keys so far.

    Attributes:
        undone: A record without keys if it is being undone, and one for each step that is undone.
    """

    def __init__(self, client: redis.Redis, planned: _Planned) -> None:
        self._client = client
        self._plan = planned
        self._journal: Journal | None = None
        self._came = bytearray(len(planned.keys))  # codes; 0: nothing yet
        self._tries: Counter[int] = Counter()
        self._open: _Before | None = None
        self.undone: list[_Undone] = []

    @classmethod
    def read(cls, client: redis.Redis, journal: Journal) -> Self:
        """What a journal says of a run."""
        records = map(_decode, journal.records())
        planned = next(records, None)
        if not isinstance(planned, _Planned):
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
                case _Before():
                    run._open = record
                case _After():
                    run._note(record)
                case _Undone():
                    run.undone.append(record)
        return run

    def begin(self, journal: Journal) -> None:
        """Write down what is planned."""
        self._journal = journal
        journal.append(_encode(self._plan))

    def check(self, *, kept: bool) -> None:
        """Let the server refuse what it would refuse later; it does nothing of it."""
        action = self._plan.action
        reads = ["PTTL", "DUMP"] if kept and action.looks != "expiry" else ["PTTL"]
        for some in _chunks(self._left()):
            commands = [action.command(*self._keys([at])) for at in some]
            commands += [(name, self._plan.keys[at]) for name in reads for at in some]
            _refuse_forbidden(self._client, commands)

    def settle(self) -> None:
        """Find out what came of a step that was stopped."""
        if self._open is None:
            return
        before = self._open
        came, marks = self._change(before, "look")
        self._write(_After(before.at, came, marks), sync=True)

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
                progress(len(self._came) - self._came.count(_AGAIN))
        return _counted(self._came)

    def undo(self) -> Done:
        """Put back what is not put back yet."""
        if not self.undone:
            self._write(_Undone([]), sync=True)  # from here on it cannot be resumed
        done = len(self.undone)
        for number, (before, after) in enumerate(self._steps(), start=1):
            if number >= done:
                self._write(_Undone(self._put_back(before, after)))
        return _counted([code for record in self.undone for code in record.came])

    def _step(self, some: Sequence[int]) -> int:
        """One batch, or as much of it as one step can read; how many keys it was."""
        action = self._plan.action
        taken = action.taken(self._client, self._keys(some))
        looks = "expiry" if self._journal is None else action.looks
        sources = [self._plan.keys[at] for at in some]
        now, expiries, tokens, dumps = ask(self._client, "bulk_read", sources, looks, _ENOUGH)
        read = _Before(list(some[: len(expiries)]), expiries, tokens, dumps, action.goal(now))
        left = list(map(self._declined, expiries, dumps, taken))
        before = read.only([not code for code in left])
        after = _After(list(compress(read.at, left)), list(filter(None, left)), [])
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
            return _GONE
        if taken:
            return _TAKEN
        return _LARGE if len(dump) > LARGEST else self._plan.action.declines(expiry)

    def _tried(self, at: int, code: int) -> int:
        """A code; in the place of "again" another one if that has come too often."""
        self._tries[at] += code == _AGAIN
        return _OTHER if self._tries[at] == _TRIES else code

    def _change(self, before: _Before, mode: str) -> tuple[list[int], list[bytes]]:
        return self._plan.action.change(self._client, self._keys(before.at), before, mode)

    def _put_back(self, before: _Before, after: _After) -> list[int]:
        came = dict(zip(after.at, after.came, strict=True))
        chosen = [came[at] == _CHANGED for at in before.at]
        if not any(chosen):
            return []
        part = before.only(chosen)
        marks = list(compress(after.marks, chosen))
        return self._plan.action.undo(self._client, self._keys(part.at), part, marks)

    def _steps(self) -> Iterator[tuple[_Before, _After]]:
        """The steps that have changed keys, from the journal: what is deleted may be much."""
        assert self._journal is not None
        before = None
        for record in map(_decode, self._journal.records()):
            if isinstance(record, _Before):
                before = record
            elif isinstance(record, _After) and before is not None:
                yield before, record
                before = None

    def _write(self, record: _Before | _After | _Undone, *, sync: bool = False) -> None:
        if self._journal is not None:
            self._journal.append(_encode(record), sync=sync)
        match record:
            case _After():
                self._note(record)
            case _Undone():
                self.undone.append(record)

    def _note(self, after: _After) -> None:
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
        return _turns(keys, [self._plan.targets[at] for at in some])


def _counted(came: Iterable[int]) -> Done:
    counts = Counter(came)
    reasons = {why: counts[code] for code, why in _REASONS.items() if counts[code]}
    return Done(counts[_CHANGED], sum(reasons.values()), counts[_GONE], reasons)


def _found(client: redis.Redis, pattern: str | bytes, type: str | None) -> list[bytes]:  # noqa: A002
    """The keys that a pattern fits, in order; SCAN may give one twice."""
    refuse_others(client)
    match = pattern.encode("utf-8", "surrogateescape") if isinstance(pattern, str) else pattern
    return sorted(set(client.scan_iter(match, _CHUNK, type, **{NEVER_DECODE: []})))


def _ttls(client: redis.Redis, keys: Sequence[bytes]) -> Iterator[int]:
    for some in _chunks(keys):
        with client.pipeline(transaction=False) as pipeline:
            for key in some:
                pipeline.pttl(key)
            yield from pipeline.execute()


def _named(keys: Sequence[bytes], to: Callable[[str], str] | str) -> list[bytes]:
    names = [key.decode("utf-8", "surrogateescape") for key in keys]
    made = [to.replace("{}", name) if isinstance(to, str) else to(name) for name in names]
    return [name.encode("utf-8", "surrogateescape") for name in made]


def _refuse_conflicts(
    client: redis.Redis, keys: Sequence[bytes], targets: Sequence[bytes], database: int | None
) -> None:
    """Refuse new names that are not new, or not different."""
    pairs = list(zip(keys, targets, strict=True))
    own = set(keys) if database is None else set()
    count = Counter(targets)
    there = set(compress(targets, _exist(client, targets, database)))
    for wrong, why in (
        ([key for key, target in pairs if count[target] > 1], "would share a name with another"),
        (
            [key for key, target in pairs if target == key and key in own],
            "would get their own name",
        ),
        ([key for key, target in pairs if target in own], "would get the name of one of them"),
        (
            [key for key, target in pairs if target in there],
            "would get the name of a key that is there",
        ),
    ):
        if wrong:
            left = len(wrong) - _SHOWN
            more = f" and {left:,} more" if left > 0 else ""
            raise ValueError(
                f"{', '.join(map(_shown, wrong[:_SHOWN]))}{more} {why}; expected names that "
                "differ, and that no key has"
            )


def _exist(client: redis.Redis, keys: Sequence[bytes], database: int | None) -> list[int]:
    where = _where(client, database)
    return [one for some in _chunks(keys) for one in ask(client, "bulk_exist", some, *where)]


def _refuse_forbidden(client: redis.Redis, commands: Sequence[tuple[Any, ...]]) -> None:
    """Raise what the server would say to commands; it puts them aside, and forgets them."""
    connection: Any = client.connection_pool.get_connection()
    try:
        block = [("MULTI",), *commands, ("DISCARD",)]
        connection.send_packed_command(connection.pack_commands(block))
        begun, *replies = [_reply(connection) for _ in block]
    except BaseException:
        connection.disconnect()
        raise
    finally:
        client.connection_pool.release(connection)
    if isinstance(begun, redis.ResponseError):
        return  # this user may not ask; what is forbidden will be refused when it comes
    for command, reply in zip(commands, replies[:-1], strict=True):
        if isinstance(reply, redis.ResponseError):
            raise _explained(client, command, reply)


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error


def _explained(
    client: redis.Redis, command: tuple[Any, ...], error: redis.ResponseError
) -> redis.ResponseError:
    name, key, *_ = command
    user = client.connection_pool.connection_kwargs.get("username") or "default"
    return error.__class__(f"{error} ({name} {_shown(key)} as user {user}; nothing was changed)")


def _where(client: redis.Redis, database: int | None) -> tuple[Any, Any]:
    """A database other than the client's, as scripts are told it; and the client's own."""
    return ("" if database is None else database, database_of(client))


def _turns(*columns: Sequence[Any]) -> list[Any]:
    return [value for row in zip(*columns, strict=True) for value in row]


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))


def _shown(name: bytes) -> str:
    return quoted(name).decode()
