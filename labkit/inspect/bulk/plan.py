"""A plan, and what runs it, goes on with it and takes it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.inspect.bulk.records import Planned
from labkit.inspect.bulk.run import Run
from labkit.inspect.journal import Journal
from labkit.inspect.pace import Pace
from labkit.inspect.printing import quoted
from labkit.inspect.scripts import database_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    import redis

    from labkit.inspect.bulk.actions import Copy, Delete, Expire, Rename
    from labkit.inspect.bulk.outcome import Done

BATCH = 500
"""Keys that one step changes, unless told otherwise."""
SHOWN = 3
"""Names that a text shows."""


class Plan:
    """What would be done, to which keys; `print` it.

    Attributes:
        keys: The keys, in order.
        targets: The new name of each, or that of its copy; empty for what makes none.
    """

    def __init__(
        self,
        client: redis.Redis,
        action: Delete | Expire | Rename | Copy,
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
        planned = Planned(self._action, self.keys, self.targets, home, rate, batch)
        run = Run(self._client, planned)
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
        names = [shown(key) for key in self.keys[:SHOWN]]
        if self.targets:
            names = [
                f"{name} to {shown(to)}"
                for name, to in zip(names, self.targets[:SHOWN], strict=True)
            ]
        left = len(self) - len(names)
        listed = ", ".join(names) + (f" and {left:,} more" if left else "")
        return self._action.words().format(count) + (f": {listed}" if names else "")

    def __repr__(self) -> str:
        return f"<Plan: {self}>"


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
        run = Run.read(client, journal)
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
        run = Run.read(client, journal)
        run.settle()
        return run.undo()


def shown(name: bytes) -> str:
    """A name as redis-cli shows it."""
    return quoted(name).decode()
