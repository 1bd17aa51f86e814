"""The outbox: what was changed, for those who act on it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from labkit.clock import duration
from labkit.newsroom import checks, notes
from labkit.newsroom.base import Database
from labkit.newsroom.records import Backlog, Noted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labkit.newsroom.signals import Pause


class Outbox(Database):
    """The part of a newsroom that has to do with its outbox; see `Newsroom`.

    With an outbox, each write that changes something leaves a note of it in its own transaction:
    there is a note exactly if there is the change, whatever crashes. Whoever acts on changes asks
    for notes, acts, and says that they are done; one who dies in between, or two at the same time,
    act on a note twice.
    """

    def outbox(self, most: int = 1000) -> list[Noted]:
        """Changes that nobody has said to be `done`, the oldest first."""
        rows = self._ask("outbox", notes.NOTES, most=checks.count("most", most))
        return [notes.noted(row) for row in rows]

    def done(self, ids: Iterable[int]) -> int:
        """Remove notes that were acted on, by their numbers.

        Returns:
            How many of them were still there.

        Raises:
            TypeError: One is no whole number.
            ValueError: They are too many at a time.
        """
        numbers = checks.numbers("ids", ids)
        if not numbers:
            return 0
        return self._write(lambda connection: notes.remove(connection, numbers))

    def outbox_state(self) -> Backlog:
        """How many notes wait, and how old the oldest is."""
        (row,) = self._ask("outbox_state", notes.BACKLOG)
        age = 0.0 if row.oldest is None else max(0.0, self._clock() - row.oldest)
        return Backlog(row.depth, age)

    def wait_for_changes(self, seconds: float | str, pause: Pause = time.sleep) -> bool:
        """Wait until something is written by a newsroom with an outbox, in whichever process.

        It answers for what was written since it was asked last, and yes when it is asked for the
        first time, since what was written before is unknown. It may say yes without need. It is no
        read. One thread waits at a time; what one was told of is not told another.

        Args:
            seconds: How long at most, a `duration`.
            pause: Lets so many seconds pass between two looks at a SQLite file; the others say by
                themselves when something is written.

        Returns:
            Whether something was written; False: nothing was, all that time.

        Raises:
            DatabaseDown: The database did not answer.
        """
        bound = duration(seconds)
        self._refuse_if_down()
        if not self._one_waits.acquire(timeout=bound):
            return False
        try:
            with self._connecting.translated():
                return self._signal.wait(bound, pause)
        finally:
            self._one_waits.release()
